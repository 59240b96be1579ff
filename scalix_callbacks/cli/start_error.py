"""The one error of a start that cannot go on."""


class StartError(Exception):
    """Why there is no gateway; its text is one sentence: what, where, how to mend it.

    Attributes:
        wants_log: the last lines of the log tell more.
        log_lines: those lines, once they are all written.
    """

    def __init__(self, sentence: str, *, wants_log: bool = False) -> None:
        super().__init__(sentence)
        self.wants_log = wants_log
        self.log_lines: list[str] = []

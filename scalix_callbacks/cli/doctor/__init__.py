"""The doctor: says what is wrong with an installation, and what to do next.

command         arguments → exit code; the only one that prints
├── report      findings → lines, JSON, verdict
└── examination which checks there are, in which order; none can take the others along
    ├── subject         what is examined: settings as far as they can be read
    ├── interpreter, packages, intruders, modules, bytecode     what is installed
    ├── configuration, models, data_place, operator_key         what is configured
    ├── port, redis_store, sql_database, gateway, providers     what is there to talk to
    └── hooks           LiteLLM itself, in a process of its own (hook_probe), seen calling us

A check is a generator of `Finding`s. It imports what it needs when it runs: a doctor must also say
something where packages are missing.
"""

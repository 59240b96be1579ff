"""Files sent along with a chat, made part of its prompt: all of them, or those that matter for it."""

"""Configuration: value types and engine sections, the loader, secrets, and the watcher of the file.

Import any of its modules: `types` and `loader` to declare and load sections, `secrets` to read
what they point to, `watcher` to get each valid edit.
"""

"""SFTP connector: documents that somebody puts into folders of an SSH server."""

"""Control: what people ask of a running service, by commands and on its page, and its socket.

`actions` is what can be asked for; `worker` carries out what is asked of documents; `server` and
`client` speak over the control socket.
"""

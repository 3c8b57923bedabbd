"""Every query of the server, as typed functions over a transaction (``storage.Tx``); nothing else knows SQL.

One module a subject. Functions take the transaction first, keep to what SQLite and PostgreSQL share, and
return closed structs or plain values. They decide nothing: rules and refusals are their callers'.
"""

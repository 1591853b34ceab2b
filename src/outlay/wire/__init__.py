"""The wire: the only code that opens a socket to a vendor.

`windows`, `request`, `pages`, `auth`, `refusals`, `retry` and `quota` interpret the words of `outlay.providers.base`
and are pure; `exchange` sends one request; `client` puts them together.
"""

"""A company and an internet on one machine, to try Twinhull against: namespaces, gateway, pages, names.

Standard library only, so that it runs before anything is installed but the system packages ``iproute2``,
``wireguard-tools``, ``wireguard-go``, ``nftables`` and ``dnsmasq-base``. ``python3 installer/corporate_side``
is its command line; :func:`corporate_side.demo.up` and its neighbours are the module.
"""

"""Ask other machines: LDAP, DNS, ssh and web servers."""

//! Reads people and groups from Active Directory and LDAP servers.

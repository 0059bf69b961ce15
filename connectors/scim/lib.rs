//! Speaks SCIM 2.0 (RFC 7643, 7644) to a PACS: users as cardholders, groups as access levels.

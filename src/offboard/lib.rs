//! Emergency offboarding: needs local configuration and one reachable PACS, nothing else.

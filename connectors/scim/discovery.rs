//! What a server says it can do. Silence is read conservatively: filter `eq`, PATCH, pages by index, no versions. This
//! module must not ask.

use lockstep_http::Value;

use crate::config::{Config, Paging};
use crate::convert::get;

/// What a server can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provider {
    /// The document was there.
    pub(crate) described: bool,
    pub(crate) patch: bool,
    pub(crate) filter: bool,
    pub(crate) sort: bool,
    pub(crate) etag: bool,
    pub(crate) cursor: bool,
    /// Pages by cursor are the way to go.
    pub(crate) by_cursor: bool,
    /// How many records to ask for.
    pub(crate) count: u64,
}

/// Reads `ServiceProviderConfig`; `None` when the server has none.
pub(crate) fn provider(document: Option<&Value>, config: &Config) -> Provider {
    let supported = |name: &str, otherwise: bool| {
        let feature = document.and_then(Value::as_object).and_then(|d| get(d, name)).and_then(Value::as_object);
        feature.and_then(|f| get(f, "supported")).and_then(Value::as_bool).unwrap_or(otherwise)
    };
    let pagination = document.and_then(Value::as_object).and_then(|d| get(d, "pagination")).and_then(Value::as_object);
    let in_pagination = |name: &str| pagination.and_then(|p| get(p, name));
    let cursor = in_pagination("cursor").and_then(Value::as_bool).unwrap_or(false);
    let index = in_pagination("index").and_then(Value::as_bool).unwrap_or(true);
    let by_default = in_pagination("defaultPaginationMethod").and_then(Value::as_str) == Some("cursor");
    let by_cursor = match config.paging {
        Paging::Auto => cursor && (by_default || !index),
        Paging::Index => false,
        Paging::Cursor => true,
    };
    let filter = document.and_then(Value::as_object).and_then(|d| get(d, "filter")).and_then(Value::as_object);
    let limits = [in_pagination("maxPageSize"), filter.and_then(|f| get(f, "maxResults"))];
    let limit = limits.into_iter().flatten().filter_map(Value::as_u64).filter(|n| *n > 0).min();
    Provider {
        described: document.is_some(),
        patch: supported("patch", document.is_none()),
        filter: supported("filter", document.is_none()),
        sort: supported("sort", false),
        etag: supported("etag", false),
        cursor,
        by_cursor,
        count: config.page_size.get().min(limit.unwrap_or(u64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> Config {
        serde_json::from_value(json!({"url": "https://pacs.example"})).expect("config")
    }

    #[test]
    fn a_server_that_says_nothing_gets_the_portable_subset() {
        let found = provider(None, &config());
        assert!(found.patch && found.filter && !found.sort && !found.etag && !found.by_cursor && !found.described);
        assert_eq!(found.count, 500);
    }

    #[test]
    fn what_is_said_is_believed() {
        let document = json!({
            "patch": {"supported": false}, "filter": {"supported": true, "maxResults": 200}, "etag": {"supported": true},
            "sort": {"supported": true},
            "pagination": {"cursor": true, "index": true, "defaultPaginationMethod": "cursor", "maxPageSize": 100},
        });
        let found = provider(Some(&document), &config());
        let expect = Provider {
            described: true,
            patch: false,
            filter: true,
            sort: true,
            etag: true,
            cursor: true,
            by_cursor: true,
            count: 100,
        };
        assert_eq!(found, expect);
    }
}

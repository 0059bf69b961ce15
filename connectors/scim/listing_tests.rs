//! Lists that lie, told page by page.

use serde_json::json;

use super::*;
use crate::config::Config;
use crate::discovery::provider;

fn walk(by_cursor: bool) -> Walk {
    let config: Config = serde_json::from_value(json!({"url": "https://pacs.example"})).expect("config");
    let described = json!({"pagination": {"cursor": by_cursor, "index": !by_cursor}});
    Walk::new(Resource::Users, &provider(Some(&described), &config))
}

fn page(ids: std::ops::Range<u32>, total: Option<u64>, start: Option<u64>, next: Option<&str>) -> ListPage<Object> {
    let item = |n| json!({"id": format!("u{n}")}).as_object().cloned().expect("an object");
    ListPage { items: ids.map(item).collect(), total, start, next_cursor: next.map(str::to_owned) }
}

/// Feeds pages to a walk: the census, or the complaint.
fn read(mut walk: Walk, pages: &[ListPage<Object>]) -> Result<Option<Census>, String> {
    for page in pages {
        let (step, ids) = walk.check(page)?;
        walk.commit(step, ids, page);
    }
    Ok(walk.census())
}

fn complaint(by_cursor: bool, pages: &[ListPage<Object>]) -> String {
    read(walk(by_cursor), pages).expect_err("a complaint")
}

#[test]
fn honest_lists_end_with_their_counts() {
    let whole = Some(Census { sent: 25, server_total: Some(25) });
    let by_index = [
        page(0..10, Some(25), Some(1), None),
        page(10..20, Some(25), None, None),
        page(20..25, Some(25), Some(21), None),
    ];
    assert_eq!(read(walk(false), &by_index), Ok(whole));
    assert_eq!(read(walk(false), &by_index[..2]), Ok(None), "not at its end");
    let by_cursor = [page(0..10, Some(25), None, Some("a")), page(10..25, Some(25), None, None)];
    assert_eq!(read(walk(true), &by_cursor), Ok(whole));
    let without_total = [page(0..10, None, None, Some("a")), page(10..25, None, None, None)];
    assert_eq!(read(walk(true), &without_total), Ok(Some(Census { sent: 25, server_total: None })));
    assert_eq!(
        read(walk(false), &[page(0..0, Some(0), Some(1), None)]),
        Ok(Some(Census { sent: 0, server_total: Some(0) }))
    );
}

#[test]
fn the_next_index_follows_from_what_arrived() {
    let mut walk = walk(false);
    let short = page(0..3, Some(25), Some(1), None);
    let (step, ids) = walk.check(&short).expect("fits");
    walk.commit(step, ids, &short);
    assert_eq!(walk.place, Place::Index(4));
}

#[test]
fn lying_lists_are_cut_lists() {
    let first = || page(0..10, Some(25), Some(1), None);
    let repeated = complaint(false, &[first(), page(0..10, Some(25), None, None)]);
    assert!(repeated.contains("sent twice"), "{repeated}");
    let from_the_start = complaint(false, &[first(), page(30..40, Some(25), Some(1), None)]);
    assert!(from_the_start.contains("asked for record 11"), "{from_the_start}");
    let stopped = complaint(false, &[first(), page(0..0, Some(25), Some(11), None)]);
    assert!(stopped.contains("stopped after 10"), "{stopped}");
    let recounted = complaint(false, &[first(), page(10..20, Some(24), Some(11), None)]);
    assert!(recounted.contains("counted 25 first and 24 now"), "{recounted}");
    let too_many = complaint(false, &[page(0..10, Some(9), Some(1), None)]);
    assert!(too_many.contains("counts 9 and has sent 10"), "{too_many}");
    let uncounted = complaint(false, &[page(0..10, None, Some(1), None)]);
    assert!(uncounted.contains("no `totalResults`"), "{uncounted}");
    let doubled = complaint(
        false,
        &[ListPage {
            items: [page(0..1, None, None, None).items, page(0..1, None, None, None).items].concat(),
            ..first()
        }],
    );
    assert!(doubled.contains("sent twice"), "{doubled}");
}

#[test]
fn lying_cursors_are_cut_lists() {
    let first = || page(0..10, Some(25), None, Some("a"));
    let looped = complaint(true, &[first(), page(10..20, Some(25), None, Some("a"))]);
    assert!(looped.contains("same cursor twice"), "{looped}");
    let stopped = complaint(true, &[first(), page(10..20, Some(25), None, None)]);
    assert!(stopped.contains("counts 25 and stopped after 20"), "{stopped}");
}

#[test]
fn a_list_without_end_is_given_up() {
    let mut endless = walk(true);
    endless.pages = PAGES_MAX;
    let complaint = endless.check(&page(0..1, None, None, Some("b"))).expect_err("a complaint");
    assert!(complaint.contains("still no end"), "{complaint}");
}

#[test]
fn a_record_without_an_id_is_no_record() {
    let items = vec![json!({"userName": "ada"}).as_object().cloned().expect("an object")];
    let nameless = complaint(false, &[ListPage { items, total: Some(1), start: None, next_cursor: None }]);
    assert!(nameless.contains("`id`"), "{nameless}");
}

//! Lists while others edit: a bookmark, the pages, and what changed since.

use lockstep_contract::{Cardholder, Next, Status};

use crate::site::{Site, cx};

/// Reads a list in pages of ten, with an edit after the first one.
async fn edited(site: &Site, edit: impl FnOnce(&Site)) -> Vec<Cardholder> {
    let page = site.target.list(&cx(), None).await.expect("the first page");
    edit(site);
    let (mut items, mut next) = (page.items, page.next);
    while let Next::More(cursor) = next {
        let page = site.target.list(&cx(), Some(cursor)).await.expect("a page");
        items.extend(page.items);
        next = page.next;
    }
    items
}

#[tokio::test]
async fn whoever_comes_into_view_behind_the_reader_is_on_the_list() {
    let site = Site::with(|settings| format!("divisions = [\"5\"]\n{settings}")).await;
    let moved = site.holder(2);
    site.simulator().edit(&moved, |holder| holder.division = 7);
    let list = edited(&site, |site| {
        // Its place in the order is on the first page, which was read already.
        site.simulator().edit(&moved, |holder| holder.division = 5);
    })
    .await;
    assert!(list.iter().any(|record| record.id == moved), "{} records", list.len());
    assert_eq!(list.len(), 25);
}

#[tokio::test]
async fn whoever_is_made_or_deleted_ahead_of_the_reader_is_there_once_or_not_at_all() {
    let site = Site::new().await;
    let gone = site.holder(24);
    let mut made = None;
    let list = edited(&site, |site| {
        made = Some(site.simulator().hire("Late", "Comer", "9100", true));
        site.simulator().delete(&gone);
    })
    .await;
    let times = |id| list.iter().filter(|record| record.id == id).count();
    assert_eq!((times(made.expect("made")), times(gone)), (1, 0));
    assert_eq!(list.len(), 25);
}

#[tokio::test]
async fn the_last_page_is_as_it_is_now() {
    let site = Site::with(|settings| settings.replace("page_size = 10", "page_size = 24")).await;
    let id = site.holder(24);
    let list = edited(&site, |site| {
        site.simulator().edit(&id, |holder| holder.authorised = false);
        site.simulator().edit(&id, |holder| holder.memberships.truncate(1));
    })
    .await;
    let record = list.iter().find(|record| record.id == id).expect("on the list");
    assert!(record.status == Status::Suspended && record.levels.is_empty(), "{record:?}");
}

#[tokio::test]
async fn more_changes_than_a_page_of_the_feed_holds_are_followed_to_the_end() {
    let site = Site::new().await;
    let mut made = Vec::new();
    let list = edited(&site, |site| {
        for n in 0..1_500 {
            made.push(site.simulator().hire("Mass", &format!("Import{n}"), &format!("M{n}"), true));
        }
    })
    .await;
    assert_eq!(list.len(), 1_525);
    let last = made.last().expect("made");
    assert!(list.iter().any(|record| record.id == *last));
}

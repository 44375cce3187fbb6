//! The suite of every event store.

use std::cell::RefCell;

use hbase::store::HbaseStore;

use crate::cluster::Cluster;

pub(crate) fn conforms_as_event_store(cluster: &Cluster) {
    let url = RefCell::new(String::new());
    let fresh = || {
        *url.borrow_mut() = cluster.url();
        HbaseStore::open(&url.borrow()).unwrap()
    };
    let reopen = |store| {
        drop(store);
        HbaseStore::open(&url.borrow()).unwrap()
    };
    events::conformance::event_store(fresh, reopen);
}

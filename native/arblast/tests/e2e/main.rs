//! The program as people use it: every test runs the real executable in a home of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that panics has failed"
)]

mod admin;
mod apps;
mod browser;
#[allow(dead_code, reason = "the store's own tests do more with it")]
#[path = "../../../sql/tests/stores/server.rs"]
mod database;
mod engines;
mod engines_keys;
mod engines_rest;
mod eval;
mod events_auth;
mod events_batch;
mod events_busy;
mod events_client;
mod events_docs;
mod events_durable;
mod events_entities;
mod events_find;
mod events_killed;
mod events_ndjson;
mod events_single;
mod events_webhooks;
mod handmade;
mod hbase_server;
mod hostile;
mod import;
mod index_server;
mod indexed;
mod items_live;
mod lifecycle;
mod migrating;
mod old_stores;
mod openapi;
mod operation;
mod operation_config;
mod operation_tls;
mod overload;
mod page;
mod program;
mod prune;
mod queries_client;
mod queries_dither;
mod queries_feedback;
mod queries_refused;
mod queries_routes;
mod queries_swap;
mod same;
#[path = "../../../elasticsearch/tests/suite/server.rs"]
#[allow(dead_code, reason = "the tests of that crate use more of it")]
mod search_server;
mod serve;
mod server;
mod shared_models;
#[path = "../../../objects/tests/objects/servers.rs"]
#[allow(dead_code, reason = "the tests of that crate use more of it")]
mod shared_servers;
mod store_failures;
mod store_refusals;
mod stores;
mod webhooks;

//! The program as people use it: every test runs the real executable in a home of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

mod admin;
mod apps;
mod browser;
mod engines;
mod engines_keys;
mod engines_rest;
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
mod hostile;
mod import;
mod items_live;
mod lifecycle;
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
mod serve;
mod server;
mod store_failures;
mod webhooks;

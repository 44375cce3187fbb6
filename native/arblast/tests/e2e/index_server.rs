//! An Elasticsearch with a user, for all tests that do not kill theirs; ended with this process however that ends.

use std::process::Stdio;
use std::sync::OnceLock;

use crate::search_server::Node;

pub const USER: &str = "keeper";
pub const PASSWORD: &str = "geheim/1";
/// Both, as a header says it.
pub const AUTHORIZATION: &str = "Basic a2VlcGVyOmdlaGVpbS8x";

/// Its port; HTTP without TLS.
pub fn port() -> u16 {
    static NODE: OnceLock<Node> = OnceLock::new();
    let settings = ["xpack.security.enabled: true", "xpack.security.http.ssl.enabled: false"];
    NODE.get_or_init(|| Node::prepared("elasticsearch-8.19.21", &settings, add_user)).port
}

fn add_user(node: &Node) {
    for empty in ["conf/users", "conf/users_roles"] {
        std::fs::write(node.path().join(empty), "").unwrap();
    }
    let mut users = node.program("elasticsearch-users");
    let added =
        users.args(["useradd", USER, "-p", PASSWORD, "-r", "superuser"]).stdout(Stdio::null()).status();
    assert!(added.unwrap().success());
}

/// Its URL, with the password.
pub fn url() -> String {
    format!("http://{USER}:{}@127.0.0.1:{}", PASSWORD.replace('/', "%2F"), port())
}

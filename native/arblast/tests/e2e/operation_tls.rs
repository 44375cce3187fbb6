//! HTTPS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};

use crate::operation::{Deployed, trained, wait_for};
use crate::program::{Program, http};

/// Writes a new certificate and its key.
fn certify(program: &Program) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key }: CertifiedKey<KeyPair> =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    program.write("cert.pem", &cert.pem());
    program.write("key.pem", &signing_key.serialize_pem());
    cert.der().clone()
}

/// `GET /health` by a client that trusts this certificate only.
fn health(port: u16, trusted: &CertificateDer<'static>) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut session = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    let mut stream = Stream::new(&mut session, &mut socket);
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn https_serves_and_takes_a_new_certificate() {
    let program = trained();
    let first = certify(&program);
    program
        .write("home/arblast.json", r#"{"tlsCertificateFile": "../cert.pem", "tlsKeyFile": "../key.pem"}"#);
    let server = Deployed::start(&program, &[], &[]);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    assert!(health(server.port, &first).unwrap().starts_with("HTTP/1.1 200"));
    let second = certify(&program);
    assert!(wait_for(|| health(server.port, &second).ok()).unwrap().starts_with("HTTP/1.1 200"));
    assert!(health(server.port, &first).is_err());
    // A key of another certificate: nothing changes.
    program.write("key.pem", &KeyPair::generate().unwrap().serialize_pem());
    server.signal("HUP");
    let line = server.logs(&["ERROR", "the certificate of before stays in use"]);
    assert!(line.contains("key.pem"), "{line}");
    assert!(health(server.port, &second).is_ok());
    let third = certify(&program);
    server.signal("HUP");
    assert!(wait_for(|| health(server.port, &third).ok()).is_some());
}

#[test]
fn a_server_with_tls_is_stopped_by_who_knows_its_certificate() {
    let program = trained();
    certify(&program);
    std::fs::copy(program.path("cert.pem"), program.path("own.pem")).unwrap();
    std::fs::copy(program.path("key.pem"), program.path("own.key")).unwrap();
    certify(&program);
    let tls = ["--set", "tlsCertificateFile=own.pem", "--set", "tlsKeyFile=own.key"];
    let first = Deployed::start(&program, &tls, &[]);
    let port = first.port.to_string();
    let undeploy = |options: &[&str]| {
        program.run(&[&["undeploy", "--ip", "127.0.0.1", "--port", &port], options].concat())
    };
    for strange in [&[][..], &["--https"], &["--certificate", "cert.pem"], &["--certificate", "none.pem"]] {
        let refused = undeploy(strange);
        assert_eq!(refused.code, Some(1), "{strange:?}: {refused:?}");
        assert!(refused.stderr.contains("certificate"), "{strange:?}: {refused:?}");
    }
    assert!(undeploy(&["--certificate", "none.pem"]).stderr.contains("none.pem"));
    // A server of the same engine with the same certificate takes over; then it is stopped from outside.
    let mut first = first;
    let mut second = Deployed::start(&program, &[&tls[..], &["--port", &port]].concat(), &[]);
    assert_eq!(first.ended(), Some(0));
    let stopped = undeploy(&["--certificate", "own.pem"]);
    assert!(stopped.stdout.contains(&format!("Undeployed https://127.0.0.1:{port}.")), "{stopped:?}");
    assert_eq!(second.ended(), Some(0));
    // By the authority that signed it, and the name that it has.
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/tls");
    let set = |name: &str, file: &str| format!("{name}={}", here.join(file).display());
    let (certificate, key) = (set("tlsCertificateFile", "server.pem"), set("tlsKeyFile", "server.key"));
    let mut third = Deployed::start(&program, &["--set", &certificate, "--set", &key, "--port", &port], &[]);
    let authority = here.join("ca.pem").display().to_string();
    let by = |host| undeploy(&["--certificate", &authority, "--host", host]);
    assert_eq!(by("elsewhere.example").code, Some(1));
    assert_eq!(by("localhost").code, Some(0));
    assert_eq!(third.ended(), Some(0));
}

#[test]
fn plain_http_gets_no_answer_from_https_and_the_server_goes_on() {
    let program = trained();
    let certificate = certify(&program);
    let tls = [
        "--set",
        "tlsCertificateFile=cert.pem",
        "--set",
        "tlsKeyFile=key.pem",
        "--set",
        "headerSecondsMax=1",
    ];
    let server = Deployed::start(&program, &tls, &[]);
    assert_eq!(http(server.port, "GET", "/health", ""), None);
    let mut silent = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let closed = wait_for(|| silent.read(&mut [0; 16]).ok().filter(|read| *read == 0));
    assert!(closed.is_some(), "a handshake that does not begin is given up");
    // a handshake may take longer than that, too, on a busy machine
    assert!(wait_for(|| health(server.port, &certificate).ok()).is_some());
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_at_the_start() {
    let program = trained();
    certify(&program);
    program.write("empty.pem", "");
    let refused = |certificate: &str, key: &str| {
        let certificate = format!("tlsCertificateFile={certificate}");
        let key = format!("tlsKeyFile={key}");
        program.refused(1, &["deploy", "--port", "0", "--set", &certificate, "--set", &key])
    };
    assert!(refused("none.pem", "key.pem").contains("tlsCertificateFile none.pem"));
    assert!(refused("empty.pem", "key.pem").contains("there is no certificate in it"));
    assert!(refused("cert.pem", "cert.pem").contains("tlsKeyFile cert.pem"));
    program.write("key.pem", &KeyPair::generate().unwrap().serialize_pem());
    assert!(refused("cert.pem", "key.pem").contains("tlsCertificateFile cert.pem with tlsKeyFile key.pem"));
}

#[test]
fn the_event_server_speaks_https_too() {
    let program = crate::events_client::shop();
    let certificate = certify(&program);
    program
        .write("home/arblast.json", r#"{"tlsCertificateFile": "../cert.pem", "tlsKeyFile": "../key.pem"}"#);
    let server = crate::events_client::EventServer::start(&program, &[]);
    assert!(health(server.port, &certificate).unwrap().starts_with("HTTP/1.1 200"));
}

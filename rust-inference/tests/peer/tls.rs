//! Servers over https: trusted as the machine trusts, or not asked at all. The key in `tests/data/peer_tls` is for these tests
//! only, and its authority is trusted by nobody else.

use std::{net::TcpStream, sync::Arc};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::json;

use crate::fake::{Fake, answer, ask, message, question, serve};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/peer_tls");

/// A server with a certificate for localhost, of an authority of its own.
fn fake() -> Fake {
    let file = |name: &str| format!("{DATA}/{name}");
    let chain = vec![CertificateDer::from_pem_file(file("localhost.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("localhost.key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    Fake::behind(move |stream: TcpStream| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        StreamOwned::new(connection, stream)
    })
}

#[test]
fn a_server_is_asked_over_https_if_its_certificate_is_trusted() {
    let fake = fake();
    fake.posts([answer(&message(&json!({"content": "Hi"}), "stop"))]);
    let model = format!("far=openai:{}#m", fake.url);
    let trusting = [
        ("SSL_CERT_FILE", &*format!("{DATA}/authority.pem")),
        ("CALLSPAN_PEER_API_KEY", "k"),
    ];
    let server = serve(&model, &[], &trusting);
    let (_, _, done) = ask(&server, &question());
    assert_eq!(done["done"]["content"], "Hi", "{done}");
    assert_eq!(
        fake.asked().pop().unwrap().headers["authorization"],
        "Bearer k"
    );
}

#[test]
fn a_server_whose_certificate_nobody_vouches_for_is_told_nothing() {
    let fake = fake();
    fake.posts([answer(&message(&json!({"content": "Hi"}), "stop"))]);
    // The leaf is no authority, and certificates of others are none for it.
    let other = [("SSL_CERT_FILE", &*format!("{DATA}/localhost.pem"))];
    let server = serve(&format!("far=openai:{}#m", fake.url), &[], &other);
    let (_, _, end) = ask(&server, &question());
    assert_eq!(end["error"]["code"], "UNAVAILABLE", "{end}");
    assert!(
        end["error"]["message"]
            .as_str()
            .unwrap()
            .contains("certificate"),
        "{end}"
    );
    // Nor is one for another name.
    let trusting = [("SSL_CERT_FILE", &*format!("{DATA}/authority.pem"))];
    let url = fake.url.replace("localhost", "127.0.0.1");
    let server = serve(&format!("far=openai:{url}#m"), &[], &trusting);
    let (_, _, end) = ask(&server, &question());
    assert_eq!(end["error"]["code"], "UNAVAILABLE", "{end}");
    assert!(fake.asked().is_empty());
}

//! update-server behind a proxy that ends TLS, under an authority of the operator's own.

use std::process::{Command, Stdio};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::bench::{Bench, Life, UpdateServer};

/// An authority `NAME.ca.pem`, and a server's key and certificate of it, by the OpenSSL of this machine.
fn authority(bench: &Bench, name: &str) {
    bench.write("san", b"subjectAltName=DNS:localhost\n");
    for step in [
        format!(
            "req -x509 -newkey ed25519 -nodes -keyout {name}.ca.key -out {name}.ca.pem -days 9 -subj /CN={name}"
        ),
        format!("req -newkey ed25519 -nodes -keyout {name}.key -out {name}.csr -subj /CN=localhost"),
        format!(
            "x509 -req -in {name}.csr -CA {name}.ca.pem -CAkey {name}.ca.key -out {name}.pem -days 9 -extfile san"
        ),
    ] {
        let mut command = Command::new("openssl");
        command.current_dir(bench.path(".")).args(step.split(' ')).stdin(Stdio::null());
        let ended = command.output().expect("openssl runs");
        assert!(ended.status.success(), "{step}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}

/// A proxy before `server`; it ends when it is dropped.
struct Proxy {
    url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Proxy {
    fn start(bench: &Bench, name: &str, server: &UpdateServer) -> Self {
        let certificate = CertificateDer::from_pem_slice(&bench.read(&format!("{name}.pem")));
        let key = PrivateKeyDer::from_pem_slice(&bench.read(&format!("{name}.key")));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("a certificate")], key.expect("a key"))
            .expect("a configuration");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
        let port = server.port();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust us goes away.
                    let Ok(mut client) = acceptor.accept(stream).await else { return };
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { url, _runtime: runtime }
    }
}

#[test]
fn a_server_of_another_authority_is_trusted_by_its_certificate() {
    let (bench, _sim) = Bench::with_device();
    authority(&bench, "ours");
    authority(&bench, "theirs");
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    let proxy = Proxy::start(&bench, "ours", &server);
    let update = |ca: &[&str]| {
        let update =
            ["update", "--yes", "--server", &proxy.url, "--anchor", "root.cose", "--token-file", "token"];
        bench.run(&[&update[..], ca].concat())
    };
    update(&[]).is_error("server-unreachable", 3);
    update(&["--ca", "theirs.ca.pem"]).is_error("server-unreachable", 3);
    for no_certificate in ["token", "ours.key"] {
        update(&["--ca", no_certificate]).is_error("ca-invalid", 4);
    }
    update(&["--ca", "absent.pem"]).is_error("file-read", 3);
    assert_eq!(server.get("/v1/devices")["devices"], serde_json::json!([]));
    update(&["--ca", "ours.ca.pem"]).is_result("confirmed", 0);
    // A bundle, as it comes from Windows.
    let bundle = [b"\xef\xbb\xbf", &bench.read("theirs.ca.pem")[..], &bench.read("ours.ca.pem")].concat();
    bench.write("bundle.pem", String::from_utf8(bundle).expect("text").replace('\n', "\r\n").as_bytes());
    update(&["--ca", "bundle.pem"]).is_result("up-to-date", 0);
    assert_eq!(server.get("/v1/devices/A-0001")["version"], "2.0.0");
}

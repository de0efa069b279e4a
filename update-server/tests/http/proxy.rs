//! The configuration for nginx in docs/server-operation.md, with a real nginx.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::harness::*;

/// Kills nginx's master, and with it the workers.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().try_into().unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

/// nginx from the path; on a Debian machine, as root, it is installed where it is missing.
fn nginx() -> Command {
    let present = || Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok();
    if !present() {
        for arguments in [&["update"][..], &["install", "-y", "--no-install-recommends", "nginx-light"]] {
            let status =
                Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(arguments).status();
            assert!(
                status.is_ok_and(|status| status.success()),
                "install nginx: apt-get install nginx-light"
            );
        }
    }
    Command::new("nginx")
}

#[tokio::test]
async fn images_pass_through_nginx_as_the_document_configures_it() {
    let world = World::new();
    let mut server = world.start_with(&["--connections-per-address", "256"]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let document =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/server-operation.md")).unwrap();
    let start = document.find("server {\n").expect("a configuration");
    let end = start + document[start..].find("\n```").unwrap();
    let (listen, upstream) = (format!("listen {free};"), format!("http://{}", server.address));
    // Without TLS, which needs a certificate.
    let config: String = document[start..end]
        .lines()
        .filter(|line| !line.contains("ssl_certificate"))
        .map(|line| {
            line.replace("listen 443 ssl;", &listen).replace("http://127.0.0.1:8080", &upstream) + "\n"
        })
        .collect();
    assert!(config.contains(&listen) && config.contains(&upstream), "{config}");
    let path = world.path("nginx.conf");
    let log = world.path("nginx.log");
    let head = format!("pid {}; error_log {};", world.path("nginx.pid").display(), log.display());
    fs::write(&path, format!("{head} daemon off; events {{}} http {{ access_log off; {config} }}")).unwrap();
    let mut command = nginx();
    command.arg("-c").arg(&path).arg("-e").arg(&log);
    let _nginx = Nginx(command.spawn().unwrap());
    eventually("nginx", || TcpStream::connect(&free).is_ok());

    let direct = std::mem::replace(&mut server.address, free);
    let image = image(1, 16 << 20);
    server.put_image(&image).await;
    let path = format!("/v1/images/{}", sha256(&image));
    assert!(server.get(&path).await.is(200).body == image);
    let part = server.get_with(&path, &[("range", "bytes=16777000-")]).await;
    assert!(part.is(206).body == image[16_777_000..]);
    let key = release_key(&world.root);
    server.post("/v1/releases", envelope(&image, 1, &key)).await.is(201);
    assert_eq!(server.latest().await.is(200).json()["sequence"], 1);
    server.get("/v1/health").await.is(200);
    server.address = direct;
}

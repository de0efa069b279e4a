//! The server's life: open everything or fail with the reason, accept connections, and on a signal finish what is
//! under way.

mod connections;
mod flushed;
mod linger;
mod start_error;

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use self::connections::{Connections, Place};
use self::flushed::Flushed;
pub use self::start_error::StartError;
use crate::blobs::Blobs;
use crate::clock::ClockWatch;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::domain::catalogue::Catalogue;
use crate::domain::identities::Identities;
use crate::domain::records::Records;
use crate::domain::registry::Registry;
use crate::domain::unix_now;
use crate::http::{self, Parts};
use crate::readiness::Readiness;
use crate::store::Store;

/// Connections at one time; more wait in the system's queue, or take the place of one that only waits. Each may have a
/// file open too, and 1024 is the usual limit of open files.
const MAX_CONNECTIONS: usize = 256;
/// How long a client may take over the head of a request, and stay idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may leave sent data unacknowledged before its connection is closed.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(60);
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long the database may take to close; a request that was cut off may still hold a connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// From the end of one verification of all stored images to the next.
const SCRUB_PAUSE: Duration = Duration::from_secs(600);
/// From one look at the clock to the next.
const CLOCK_PAUSE: Duration = Duration::from_secs(60);
/// Pause after a failed accept (too many open files): the next would fail as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// A server that is ready to accept.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
    store: Store,
    shutdown_limit: Duration,
    connections_per_address: usize,
    // Held until the last request is done.
    _data: DataDir,
    // It ends with the server.
    _background: JoinSet<()>,
}

impl Server {
    /// Locks the data directory, opens what is in it, and listens.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        if SystemTime::now() < UNIX_EPOCH {
            return Err(StartError::Clock);
        }
        let data = DataDir::open(&config.data)?;
        let store = Store::connect(&data.database()).await?;
        let blobs = Arc::new(Blobs::open(&data.images())?);
        let records = Records::open(store.clone(), config.anchors).await?;
        let identities = Identities::open(store.clone(), records.clone()).await?;
        let catalogue = Catalogue::open(store.clone(), blobs.clone(), records.clone(), unix_now()).await?;
        check_anchors(&catalogue)?;
        let clock = Arc::new(ClockWatch::new(store.clone(), catalogue.clone()));
        clock.fault(unix_now()).await?;
        let mut background = JoinSet::new();
        background.spawn(scrub(blobs.clone(), catalogue.clone()));
        background.spawn(watch_clock(clock.clone()));
        let router = http::router(Parts {
            registry: Registry::new(store.clone()),
            identities,
            readiness: Readiness::new(store.clone(), blobs.clone(), catalogue.clone(), clock.clone()),
            catalogue,
            records,
            blobs: blobs.clone(),
            tokens: config.tokens,
            max_image_bytes: config.max_image_bytes,
        });
        let listener = TcpListener::bind(&config.listen)
            .await
            .map_err(|source| StartError::Listen { address: config.listen, source })?;
        if let Ok(address) = listener.local_addr()
            && !address.ip().to_canonical().is_loopback()
        {
            tracing::warn!(
                %address,
                "listening beyond loopback without TLS: tokens travel unencrypted; let a TLS proxy listen instead"
            );
        }
        Ok(Self {
            listener,
            router,
            store,
            shutdown_limit: config.shutdown_limit,
            connections_per_address: config.connections_per_address,
            _data: data,
            _background: background,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The service without its listener, for tests that call it in their own process.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Serves until SIGTERM or SIGINT, then finishes the requests under way; a second signal ends those too.
    pub async fn run(self) -> Result<(), StartError> {
        let mut signals = Signals::new()?;
        announce(self.local_addr()?)?;

        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        let connections = Connections::new(MAX_CONNECTIONS, self.connections_per_address);
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &connections) => accepted,
                signal = signals.next() => {
                    tracing::info!(signal, "shutting down");
                    break;
                }
            };
            let (stream, place) = match accepted {
                Ok(Some(accepted)) => accepted,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (router, progress) = (TowerToHyperService::new(self.router.clone()), place.progress());
            let service = service_fn(move |request: Request<Incoming>| {
                progress.works();
                let (router, progress) = (router.clone(), progress.clone());
                async move {
                    let response = linger::answer(&router, request.map(Body::new), &progress).await;
                    Ok::<_, Infallible>(response.map(|body| progress.answers(body)))
                }
            });
            let stream = TokioIo::new(Flushed::new(stream, place.progress()));
            let connection = graceful.watch(http.serve_connection(stream, service));
            tokio::spawn(async move {
                tokio::select! {
                    ended = connection => if let Err(error) = ended {
                        tracing::debug!(%error, "connection ended early");
                    },
                    () = place.evicted() => tracing::debug!("connection made room for another"),
                }
                drop(place);
            });
        }

        drop(self.listener);
        tokio::select! {
            () = graceful.shutdown() => tracing::info!("all requests finished"),
            () = tokio::time::sleep(self.shutdown_limit) => tracing::warn!("cut off the requests that did not finish"),
            signal = signals.next() => tracing::warn!(signal, "cut off the requests under way"),
        }
        if tokio::time::timeout(CLOSE_TIMEOUT, self.store.close()).await.is_err() {
            tracing::warn!("the database is still in use; its log is folded in at the next start");
        }
        Ok(())
    }
}

/// Releases under other anchors are not offered: some of them are a warning, all of them a wrong option.
fn check_anchors(catalogue: &Catalogue) -> Result<(), StartError> {
    let standing = catalogue.standing();
    let idle = catalogue.anchors_without_releases(&standing);
    let kid = |kid: &trust::Kid| hex::encode(kid.0);
    // What is revoked or expired has its domain; what is damaged says nothing of its anchor.
    if standing.foreign > 0 && standing.of_domain.is_empty() {
        let anchors = idle.iter().map(kid).collect();
        return Err(StartError::NoReleaseUnderAnchors { releases: standing.stored, anchors });
    }
    for (domain, releases) in &standing.of_domain {
        tracing::info!(anchor = hex::encode(domain), releases, "stored releases under an anchor");
    }
    for anchor in &idle {
        tracing::warn!(anchor = kid(anchor), "no stored release is under this anchor");
    }
    if standing.foreign > 0 {
        let (releases, stored) = (standing.foreign, standing.stored);
        tracing::warn!(
            releases,
            stored,
            "stored releases are under no anchor that was given: they are not offered"
        );
    }
    Ok(())
}

/// Looks for the images that releases name, and holds those that are stored against their digests, over and over.
async fn scrub(blobs: Arc<Blobs>, catalogue: Catalogue) {
    loop {
        catalogue.look_for_images().await;
        match blobs.scrub().await {
            Ok(images) => tracing::debug!(images, damaged = blobs.damaged(), "verified the stored images"),
            Err(error) => tracing::error!(%error, "cannot verify the stored images"),
        }
        tokio::time::sleep(SCRUB_PAUSE).await;
    }
}

/// Looks at the clock now and then, also when nobody asks whether the server is ready.
async fn watch_clock(clock: Arc<ClockWatch>) {
    loop {
        tokio::time::sleep(CLOCK_PAUSE).await;
        if let Err(error) = clock.fault(unix_now()).await {
            tracing::error!(%error, "cannot look at the clock");
        }
    }
}

/// The next connection that gets a place; `None` when its address has too many.
async fn accept(listener: &TcpListener, connections: &Connections) -> io::Result<Option<(TcpStream, Place)>> {
    let (stream, address) = listener.accept().await?;
    tune(&stream);
    let Some(place) = connections.admit(client(address.ip())).await else {
        tracing::debug!(%address, "an address has too many connections");
        connections.refuse(stream);
        return Ok(None);
    };
    Ok(Some((stream, place)))
}

/// The address by which a client is counted. A machine with IPv6 has a whole /64 of addresses.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => IpAddr::from((u128::from(address) >> 64 << 64).to_be_bytes()),
    }
}

/// Answers leave at once, and a peer that is gone is noticed. A socket that does not take an option still works.
fn tune(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let tuned = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE)))
        .and_then(|()| socket.set_tcp_user_timeout(Some(ACKNOWLEDGE_TIMEOUT)));
    if let Err(error) = tuned {
        tracing::debug!(%error, "cannot set a socket option");
    }
}

/// The one line on stdout: a program that started us waits for it.
fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on http://{address}")?;
    stdout.flush()
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_counts_as_one_client() {
        let client = |text: &str| client(text.parse().unwrap()).to_string();
        assert_eq!(client("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(client("2001:db8:1:2:ffff::1"), "2001:db8:1:2::");
        assert_ne!(client("2001:db8:1:3::1"), client("2001:db8:1:2::1"));
        assert_eq!(client("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(client("192.0.2.7"), "192.0.2.7");
    }

    #[tokio::test]
    async fn an_accepted_connection_sends_at_once_and_notices_a_lost_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let connections = Connections::new(1, 1);
        let (stream, _place) = accept(&listener, &connections).await.unwrap().unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(ACKNOWLEDGE_TIMEOUT));
    }
}

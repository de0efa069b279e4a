//! Places for connections: a bounded number in all and for each address. A connection that only waits (idle, or its
//! request does not arrive) and a very slow reader lose their place when another client needs it: slow clients cannot
//! lock others out.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

/// A reader that took nothing for so long is slow: its place can be taken. Sent data waits in the system's buffers, and
/// room for more comes in lumps.
const SLOW_AFTER: Duration = Duration::from_secs(15);

/// A reader with a lower rate since its start is slow too, bytes a second.
const SLOW_RATE: u64 = 32 << 10;

/// The answer to a connection too many.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";
/// Clients that get this answer at one time, and how long each may take over it.
const REFUSING: usize = 64;
const REFUSAL_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// It waits for a head.
    Waiting(Instant),
    /// The server works on its request.
    Working,
    Reading(Reading),
}

/// How an answer is read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    since: Instant,
    /// When some of it was taken last.
    last: Instant,
    /// Bytes.
    taken: u64,
    /// The last of it has been taken, and may wait in this process to be sent.
    is_whole: bool,
}

impl Reading {
    fn beginning_now() -> Self {
        let now = Instant::now();
        Self { since: now, last: now, taken: 0, is_whole: false }
    }

    /// Bytes a second since the start, of a slow reader.
    fn slow_rate(&self) -> Option<u64> {
        let elapsed = self.since.elapsed();
        let rate = self.taken / elapsed.as_secs().max(1);
        let is_slow = self.last.elapsed() > SLOW_AFTER || (elapsed > SLOW_AFTER && rate < SLOW_RATE);
        is_slow.then_some(rate)
    }
}

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    phase: Phase,
    evicted: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    connections: HashMap<u64, Connection>,
}

impl Open {
    fn of(&self, address: IpAddr) -> usize {
        self.connections.values().filter(|connection| connection.address == address).count()
    }

    /// The connection that is to go so that another can come: the longest waiting one, of the address that has the
    /// most connections; or else the slowest reader.
    fn least_useful(&self, of: Option<IpAddr>) -> Option<u64> {
        let candidates = || {
            let connections = self.connections.iter();
            connections.filter(move |(_, connection)| of.is_none_or(|address| connection.address == address))
        };
        let mut counts = HashMap::<IpAddr, usize>::new();
        for (_, connection) in candidates() {
            *counts.entry(connection.address).or_default() += 1;
        }
        let waiting = candidates().filter_map(|(id, connection)| match connection.phase {
            Phase::Waiting(since) => Some((counts.get(&connection.address), Reverse(since), *id)),
            Phase::Working | Phase::Reading(_) => None,
        });
        let slow = || {
            let readers = candidates().filter_map(|(id, connection)| match connection.phase {
                Phase::Reading(reading) => reading.slow_rate().map(|rate| (rate, *id)),
                Phase::Waiting(_) | Phase::Working => None,
            });
            readers.min().map(|(_, id)| id)
        };
        waiting.max().map(|(.., id)| id).or_else(slow)
    }

    fn evict(&mut self, id: u64) {
        if let Some(connection) = self.connections.remove(&id) {
            connection.evicted.notify_one();
        }
    }
}

/// The connections of the server.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    open: Arc<Mutex<Open>>,
    freed: Arc<Notify>,
    limit: usize,
    limit_per_address: usize,
    refusing: Arc<Semaphore>,
}

impl Connections {
    pub(super) fn new(limit: usize, limit_per_address: usize) -> Self {
        Self {
            open: Arc::default(),
            freed: Arc::default(),
            limit,
            limit_per_address,
            refusing: Arc::new(Semaphore::new(REFUSING)),
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `address`, as soon as there is one; `None` when the address has as many as it
    /// may have, all of them at work.
    pub(super) async fn admit(&self, address: IpAddr) -> Option<Place> {
        loop {
            // Registered before the look, so that no place that comes free between is missed.
            let freed = self.freed.notified();
            match self.try_admit(address) {
                Admission::Admitted(place) => return Some(place),
                Admission::AddressFull => return None,
                Admission::Full => {}
            }
            // A reader becomes slow without anybody saying so.
            let _ = tokio::time::timeout(Duration::from_secs(1), freed).await;
        }
    }

    /// Answers a client whose address has too many connections. The answer follows the first bytes of the request, and
    /// the rest of the request is read: otherwise the client would not accept the answer, or a reset would destroy it.
    /// Beyond [`REFUSING`] at a time, connections are closed without an answer.
    pub(super) fn refuse(&self, mut stream: TcpStream) {
        let Ok(place) = self.refusing.clone().try_acquire_owned() else { return };
        tokio::spawn(async move {
            let mut unread = [0; 4096];
            let refusal = async {
                if stream.read(&mut unread).await? == 0 {
                    return Ok(());
                }
                stream.write_all(TOO_MANY).await?;
                stream.shutdown().await?;
                while stream.read(&mut unread).await? > 0 {}
                Ok::<_, io::Error>(())
            };
            // It is refused either way.
            let _ = tokio::time::timeout(REFUSAL_LIMIT, refusal).await;
            drop(place);
        });
    }

    fn try_admit(&self, address: IpAddr) -> Admission {
        let mut open = self.open();
        if open.of(address) >= self.limit_per_address {
            let Some(own) = open.least_useful(Some(address)) else { return Admission::AddressFull };
            open.evict(own);
        }
        if open.connections.len() >= self.limit {
            let Some(id) = open.least_useful(None) else { return Admission::Full };
            open.evict(id);
        }
        let id = open.next;
        open.next += 1;
        let evicted = Arc::new(Notify::new());
        let phase = Phase::Waiting(Instant::now());
        open.connections.insert(id, Connection { address, phase, evicted: evicted.clone() });
        Admission::Admitted(Place { connections: self.clone(), id, evicted })
    }

    fn enter(&self, id: u64, phase: Phase) {
        if let Some(connection) = self.open().connections.get_mut(&id) {
            connection.phase = phase;
        }
    }
}

/// The result of asking for a place.
enum Admission {
    Admitted(Place),
    /// Later, when one comes free.
    Full,
    /// All places of the address are at work.
    AddressFull,
}

/// The place of one connection, free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Connections,
    id: u64,
    evicted: Arc<Notify>,
}

impl Place {
    /// Returns when somebody else needs the place.
    pub(super) fn evicted(&self) -> impl Future<Output = ()> + use<> {
        let evicted = self.evicted.clone();
        async move { evicted.notified().await }
    }

    /// For the service of the connection: says what it does.
    pub(super) fn progress(&self) -> Progress {
        Progress { connections: self.connections.clone(), id: self.id }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open().connections.remove(&self.id);
        self.connections.freed.notify_waiters();
    }
}

/// The service's handle on its connection's phase.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    connections: Connections,
    id: u64,
}

impl Progress {
    /// A request has come.
    pub(super) fn works(&self) {
        self.connections.enter(self.id, Phase::Working);
    }

    /// The answer is decided, and nothing is lost when the connection ends.
    pub(super) fn waits(&self) {
        self.connections.enter(self.id, Phase::Waiting(Instant::now()));
    }

    /// Nothing that was taken waits to be sent. After the last of an answer, the connection waits.
    pub(super) fn flushed(&self) {
        if let Some(connection) = self.connections.open().connections.get_mut(&self.id)
            && let Phase::Reading(Reading { is_whole: true, .. }) = connection.phase
        {
            connection.phase = Phase::Waiting(Instant::now());
        }
    }

    /// An answer goes out; once it has, the connection waits.
    pub(super) fn answers(self, body: Body) -> Body {
        let reading = Reading::beginning_now();
        self.connections.enter(self.id, Phase::Reading(reading));
        Body::new(Counted { body, progress: self, reading })
    }
}

/// A body that tells when some of it is taken.
struct Counted {
    body: Body,
    progress: Progress,
    reading: Reading,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(frame) = &polled {
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            self.reading.taken += data.map_or(0, |bytes| bytes.len() as u64);
            self.reading.last = Instant::now();
            self.progress.connections.enter(self.progress.id, Phase::Reading(self.reading));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.reading.is_whole = true;
        self.progress.connections.enter(self.progress.id, Phase::Reading(self.reading));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    async fn is_evicted(place: &Place) -> bool {
        tokio::time::timeout(Duration::from_secs(10), place.evicted()).await.is_ok()
    }

    #[tokio::test]
    async fn an_address_has_its_bound_and_pushes_out_only_its_own() {
        let connections = Connections::new(10, 2);
        let first = connections.admit(address(1)).await.unwrap();
        let second = connections.admit(address(1)).await.unwrap();
        let other = connections.admit(address(2)).await.unwrap();
        second.progress().works();
        let third = connections.admit(address(1)).await.unwrap();
        assert!(is_evicted(&first).await);
        assert_eq!(connections.open().connections.len(), 3);
        third.progress().works();
        assert!(connections.admit(address(1)).await.is_none(), "both are at work");
        let _another = connections.admit(address(2)).await.unwrap();
        drop(other);
    }

    #[tokio::test]
    async fn of_slow_readers_the_slowest_makes_room() {
        let connections = Connections::new(4, 4);
        let mut places = Vec::new();
        // Seconds since the start, seconds since some was taken, bytes.
        for (since, last, taken) in [(60, 1, 60 << 16), (60, 1, 3 << 19), (60, 1, 1 << 20), (10, 1, 0)] {
            let place = connections.admit(address(1)).await.unwrap();
            let before = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
            let reading = Reading { since: before(since), last: before(last), taken, is_whole: false };
            connections.enter(place.id, Phase::Reading(reading));
            places.push(place);
        }
        // 64 KiB a second is fast, and who began 10 s ago may become so.
        for slower in [2, 1] {
            let next = connections.admit(address(2)).await.unwrap();
            next.progress().works();
            assert!(is_evicted(&places[slower]).await);
            places.push(next);
        }
        let waiting = connections.admit(address(3));
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
    }

    #[tokio::test]
    async fn the_waiting_make_room_first_of_all_those_of_the_busiest_address() {
        let connections = Connections::new(4, 3);
        let lone = connections.admit(address(1)).await.unwrap();
        let mut many = Vec::new();
        for _ in 0..3 {
            many.push(connections.admit(address(2)).await.unwrap());
        }
        let new = connections.admit(address(3)).await.unwrap();
        assert!(is_evicted(&many[0]).await);
        for place in many.iter().chain([&lone, &new]) {
            place.progress().works();
        }
        // All are at work: the next waits until one ends.
        let waiting = connections.admit(address(4));
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(lone);
        assert!(waiting.await.is_some());
    }
}

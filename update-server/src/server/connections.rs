//! Places for connections: a bounded number in all and for each address. A connection that only waits (an idle one, or
//! a head that does not come) holds its place as long as nobody else wants it, and so does a reader that takes nearly
//! nothing: nobody can lock others out by being slow.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Notify;

/// A reader that took nothing for so long is slow: its place can be taken. What was sent to it waits in the system's
/// buffers, and room for more comes in lumps.
const SLOW_AFTER: Duration = Duration::from_secs(15);

/// What a connection is doing.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// It waits for a head.
    Waiting(Instant),
    /// The server works on its request.
    Working,
    /// It reads an answer, and last took some of it then.
    Reading(Instant),
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
    /// most connections; or else the reader that took nothing for longest.
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
                Phase::Reading(last) => (last.elapsed() > SLOW_AFTER).then_some((last, *id)),
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
}

impl Connections {
    pub(super) fn new(limit: usize, limit_per_address: usize) -> Self {
        Self { open: Arc::default(), freed: Arc::default(), limit, limit_per_address }
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

/// What became of a wish for a place.
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

/// What a connection does, as its service says it.
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

    /// An answer goes out; once it has, the connection waits.
    pub(super) fn answers(self, body: Body) -> Body {
        self.connections.enter(self.id, Phase::Reading(Instant::now()));
        Body::new(Counted { body, progress: self })
    }
}

/// A body that tells when some of it is taken.
struct Counted {
    body: Body,
    progress: Progress,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_ready() {
            self.progress.connections.enter(self.progress.id, Phase::Reading(Instant::now()));
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
        self.progress.connections.enter(self.progress.id, Phase::Waiting(Instant::now()));
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

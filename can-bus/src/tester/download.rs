//! A download: blocks that are as long as the bus lets through, each sent until the device has it.

use update_protocol::profile::{Destination, Object};
use update_protocol::uds::client::{ClientError, Request, response};
use update_protocol::uds::{Nrc, sid};

use super::{BLOCK_REPEATS, Tester, TesterError, Try};

/// Service and counter of a block.
const BLOCK_HEAD_LEN: usize = 2;
/// Longest request of a download, bytes: what a 12-bit ISO-TP length holds. Longer ones gain nothing.
const MAX_REQUEST_LEN: usize = 4095;

/// Whether a download goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// With the next block.
    Continue,
    /// Not; the device keeps what it has.
    Stop,
}

/// How a download ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The device has the object and accepts it.
    Accepted,
    /// It was stopped in between.
    Stopped,
}

/// A download that is open.
struct Open<'d> {
    /// The bytes to send.
    data: &'d [u8],
    /// How much of it the device has.
    taken: usize,
    /// Counter of the next block.
    counter: u8,
    /// Longest block, bytes of data.
    max: usize,
}

impl Tester {
    /// Sends an object whole, [of the firmware or of a table](Destination), and has the device judge it. `data` is all of it: the download of an image begins at its
    /// offset, so that it resumes where the device is. After each block `on_block` hears how many bytes of `data` the
    /// device has, and says whether to go on. Blocks shrink when frames are lost and grow again.
    ///
    /// # Errors
    /// [`TesterError`]; what exactly the device objects to is in its [state record](Self::read_state).
    pub async fn download(
        &mut self,
        to: impl Into<Destination>,
        data: &[u8],
        mut on_block: impl FnMut(usize) -> Flow,
    ) -> Result<Ended, TesterError> {
        let to = to.into();
        let begin = match to.object {
            Object::Image { offset } => usize::try_from(offset).map_err(|_| TesterError::Object(to))?,
            Object::Envelope
            | Object::RevocationList
            | Object::ProvisioningBlock
            | Object::SuccessionChain => 0,
        };
        let rest = data.get(begin..).ok_or(TesterError::Object(to))?;
        let (Some(address), Ok(size)) = (to.address(), u32::try_from(rest.len())) else {
            return Err(TesterError::Object(to));
        };
        let answer = self.request(&Request::Download { address, size }).await?;
        // Service and counter are part of what the device says it takes.
        let max = usize::try_from(response::download(&answer)?).unwrap_or(usize::MAX);
        let max = max.min(MAX_REQUEST_LEN).saturating_sub(BLOCK_HEAD_LEN);
        let mut open = Open { data: rest, taken: 0, counter: 1, max };
        while open.taken < open.data.len() {
            self.block(&mut open).await?;
            if on_block(begin.saturating_add(open.taken)) == Flow::Stop {
                return Ok(Ended::Stopped);
            }
        }
        self.request(&Request::TransferExit).await?;
        Ok(Ended::Accepted)
    }

    /// Sends the next block until the device has it.
    async fn block(&mut self, open: &mut Open<'_>) -> Result<(), TesterError> {
        let rest = open.data.get(open.taken..).unwrap_or_default();
        let frame_len = self.channel.link().config().max_single_frame_len();
        let single = frame_len.saturating_sub(BLOCK_HEAD_LEN).max(1);
        // Lengths of this block that the device may have got whole, without its answer having come back.
        let mut unsure: Vec<usize> = Vec::new();
        let (mut repeat, mut silences, mut busy) = (0, 0, 0);
        self.ask();
        loop {
            let st_min_us = self.channel.link().peer_st_min().as_micros();
            let wanted = self.pace.block_len(open.max, frame_len, st_min_us);
            let len = match (unsure.last(), self.tells_received) {
                // A block whose fate cannot be known could only be repeated as it is, however long: so the first one,
                // which tells whether it can, is short.
                (None, None) => single,
                (None, Some(_)) => wanted,
                // Whichever of them it has got, its answer tells: the shortest is enough to ask.
                (Some(_), Some(true)) => single,
                (Some(same), Some(false) | None) => *same,
            };
            let data = rest.get(..len.min(rest.len())).unwrap_or(rest);
            let request = Request::Transfer { counter: open.counter, data };
            let this = Try { repeat, silences, another_follows: repeat < BLOCK_REPEATS };
            match self.once(&request, this).await {
                Ok(answer) => {
                    unsure.push(data.len());
                    self.channel.message(true);
                    let received = response::transfer(&answer)?;
                    self.tells_received = Some(received.is_some());
                    let taken = match received {
                        None => unsure.first().copied().unwrap_or_default(),
                        Some(received) => {
                            let received = usize::try_from(received).unwrap_or(usize::MAX);
                            let taken = received.checked_sub(open.taken).filter(|len| unsure.contains(len));
                            taken.ok_or(ClientError::Malformed { service: sid::TRANSFER })?
                        }
                    };
                    open.taken = open.taken.saturating_add(taken);
                    open.counter = open.counter.wrapping_add(1);
                    if repeat == 0 {
                        self.pace.block_taken(taken, open.max);
                    }
                    return Ok(());
                }
                Err(error) if self.may_repeat(&error, repeat, BLOCK_REPEATS) => {
                    repeat += 1;
                    silences += u32::from(error.is_silence());
                    // A short question about a block says nothing of longer ones.
                    self.channel.message(false);
                    if unsure.is_empty() {
                        self.pace.block_lost(data.len(), single, error.is_silence());
                    }
                    if !error.is_unsent() {
                        unsure.push(data.len());
                    }
                }
                Err(error)
                    if busy < super::BUSY_REPEATS && error.refusal() == Some(Nrc::BUSY_REPEAT_REQUEST) =>
                {
                    busy += 1;
                    tokio::time::sleep(super::BUSY_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

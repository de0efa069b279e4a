//! `provision --from DIR`: a production line. It waits for one new device, gives it the next block of the list that no device
//! has, reads back what it says, and notes each step in the log before the next one.
//!
//! The power may fail between any two steps. A block that was sent and not noted as written is *undecided*: a device that
//! reports its serial has it; the device with the factory tag that was noted does not, as long as it has no identity; and no
//! other device gets it.

mod compare;
mod label;
mod list;
mod log;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use can_bus::BusError;
use device_lists::{AnchorFacts, Entry, Outcome, Row};
use serde::Serialize;
use suit_manifest::reason::Reason;
use trust::TrustStoreBuf;
use trust::host::{Existing, Readers, write_whole};
use update_protocol::profile::{DEFAULT_NODE_ADDRESS, Mode, did};

use self::compare::compare;
use self::list::List;
use self::log::{Log, Standing, entry};
use super::provision::{Block, look_around, write};
use super::{back, enter, read, reset};
use crate::cli::{Cli, LineOptions};
use crate::connection::{Connection, Trouble};
use crate::device::Device;
use crate::error::{Error, LineFault, Moment};
use crate::install::bring;
use crate::interrupt::Interrupt;
use crate::output::{Output, Report};
use crate::scan;
use crate::session::Session;
use crate::trusted::{Records, Successions, read_successions};

/// Folder of the labels, in that of the line.
const LABELS: &str = "labels";
/// How often a new device is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);
const WAITING: &str = "device";

/// A device that has its block now.
#[derive(Clone, Debug, Serialize)]
struct Made {
    serial: String,
    node: u8,
    device: String,
    kid: Option<String>,
    label: PathBuf,
}

#[derive(Serialize)]
struct MadeEvent<'a> {
    event: Outcome,
    #[serde(flatten)]
    made: &'a Made,
    left: usize,
}

/// How a run ended.
#[derive(Debug, Serialize)]
pub(crate) struct LineReport {
    result: &'static str,
    /// The device of `--next`.
    #[serde(flatten)]
    device: Option<Made>,
    /// Devices of this run that got a block, and that were found with one.
    provisioned: usize,
    found: usize,
    /// Blocks that no device has.
    left: usize,
    #[serde(skip)]
    words: String,
}

impl Report for LineReport {
    fn lines(&self) -> String {
        self.words.clone()
    }

    fn is_change(&self) -> bool {
        true
    }
}

/// # Errors
/// [`Error::Line`], those of [`look_around`] and [`write`]
pub(crate) async fn line(
    cli: &Cli,
    options: &LineOptions,
    node: Option<u8>,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<LineReport, Error> {
    let folder = options.from.as_deref().unwrap_or_else(|| std::path::Path::new("."));
    let list = List::read(folder)?;
    let mut log = Log::open(&list)?;
    if log.torn > 0 {
        let words = format!("the last line of the log was not whole, and {} bytes of it are gone", log.torn);
        output.warn("line-log-torn", &words);
    }
    if let Some(serial) = &options.set_aside {
        return set_aside(serial, &list, &mut log);
    }
    let successions = read_successions(&options.successions)?;
    let mut line = Line {
        cli,
        options,
        blank_node: node,
        output,
        interrupt,
        list: &list,
        log,
        successions,
        connection: Connection::open(cli).await?,
        provisioned: 0,
        found: 0,
    };
    line.run().await
}

/// Notes that no device gets a block.
fn set_aside(serial: &str, list: &List, log: &mut Log) -> Result<LineReport, Error> {
    let refuse = |why| Err(Error::Line(LineFault::Serial { serial: serial.to_owned(), why }));
    let Some(row) = list.row(serial) else { return refuse("it is not in the list") };
    match log.standing(serial) {
        Standing::Free | Standing::Undecided { .. } => log.add(&entry(Outcome::SetAside, row))?,
        Standing::SetAside => {}
        Standing::OnDevice => return refuse("a device has it"),
    }
    let left = left(list, log);
    let words = format!("{serial} is set aside: no device gets it. {left} blocks are left.");
    Ok(LineReport { result: "set-aside", device: None, provisioned: 0, found: 0, left, words })
}

/// How many blocks no device has.
fn left(list: &List, log: &Log) -> usize {
    list.rows.iter().filter(|row| is_due(&log.standing(&row.serial))).count()
}

fn is_due(standing: &Standing) -> bool {
    matches!(standing, Standing::Free | Standing::Undecided { .. })
}

struct Line<'a> {
    cli: &'a Cli,
    options: &'a LineOptions,
    /// Node address of devices in factory state, if it was named.
    blank_node: Option<u8>,
    output: &'a Output,
    interrupt: &'a Interrupt,
    list: &'a List,
    log: Log,
    successions: Successions,
    connection: Connection,
    provisioned: usize,
    found: usize,
}

impl<'a> Line<'a> {
    async fn run(&mut self) -> Result<LineReport, Error> {
        let mut last = self.take_stock().await?;
        while (self.options.all || last.is_none())
            && let Some(row) = self.next()
        {
            last = self.make_one(row).await?;
        }
        let (left, serial) = (left(self.list, &self.log), last.as_ref().map(|made| made.serial.clone()));
        let (result, words) = match serial {
            Some(serial) if !self.options.all => {
                let result = if self.found > 0 { "found" } else { "provisioned" };
                (result, format!("{serial} is {result}. {left} blocks are left."))
            }
            _ => {
                let made = self.provisioned.saturating_add(self.found);
                ("list-done", format!("Every block of the list is done; {made} in this run."))
            }
        };
        let device = last.filter(|_| !self.options.all);
        let (provisioned, found) = (self.provisioned, self.found);
        Ok(LineReport { result, device, provisioned, found, left, words })
    }

    /// The first block that no device has. One that is undecided comes first: the line stopped there.
    fn next(&self) -> Option<&'a Row> {
        let rows = || self.list.rows.iter();
        let is_undecided = |row: &&Row| matches!(self.log.standing(&row.serial), Standing::Undecided { .. });
        rows().find(is_undecided).or_else(|| rows().find(|row| is_due(&self.log.standing(&row.serial))))
    }

    /// Gives the next device this block, or finds the one that has it.
    async fn make_one(&mut self, row: &'a Row) -> Result<Option<Made>, Error> {
        let block = self.list.block(row)?;
        // What does not verify shows before a device is waited for.
        let trusted = self.trusted(&block)?;
        let (device, tag) = match self.wait_for_device(row, &block).await? {
            Seen::Blank(device, tag) => (*device, tag),
            Seen::Found(made) => return Ok(Some(made)),
        };
        let begun = Entry { factory_tag: tag, ..entry(Outcome::Begun, row) };
        self.log.add(&begun)?;
        let written =
            write(&mut self.connection, device.node, &block, self.cli, self.output, self.interrupt).await;
        let provisioned = match written {
            Err(error @ Error::DeviceRefused(_)) => {
                self.note_refusal(row, device.node).await?;
                return Err(error);
            }
            written => written?,
        };
        self.finish(row, &block, provisioned, trusted, Outcome::Provisioned).await.map(Some)
    }

    /// A block that was refused is free again if the device says that it has no identity.
    async fn note_refusal(&mut self, row: &Row, node: u8) -> Result<(), Error> {
        let answers = back(&mut self.connection, node, self.cli, self.interrupt).await;
        if answers.is_ok()
            && let Ok(device) = read(&mut self.connection, node).await
            && device.state.mode == Mode::Factory
        {
            self.log.add(&entry(Outcome::Refused, row))?;
        }
        Ok(())
    }

    /// Compares a device that has its block with what the block says, brings it to the present root, prints its label, and
    /// notes it.
    async fn finish(
        &mut self,
        row: &Row,
        block: &Block,
        mut device: Device,
        trusted: Option<TrustStoreBuf>,
        outcome: Outcome,
    ) -> Result<Made, Error> {
        // An application does not say which anchors there are: the loader does.
        if device.trust.is_none() && device.state.mode == Mode::Application {
            self.ask_for_anchors(&mut device).await?;
        }
        compare(row, block, &device)?;
        let device = match trusted {
            Some(trusted) => self.bring_successions(device, &trusted).await?,
            None => device,
        };
        self.output.step("label");
        let label = self.print_label(row)?;
        let anchors = device.trust.as_ref().map(|trust| {
            let facts = trust.anchors.iter().map(|anchor| AnchorFacts {
                kid: hex::encode(anchor.kid),
                rights: anchor.rights,
                domain: hex::encode(anchor.domain),
            });
            facts.collect()
        });
        let loader_version = device.loader_version.as_ref().map(ToString::to_string);
        self.log.add(&Entry { anchors, loader_version, ..entry(outcome, row) })?;
        let made = Made {
            serial: row.serial.clone(),
            node: row.node_address,
            device: row.device.to_string(),
            kid: row.kid().map(str::to_owned),
            label,
        };
        let count = if outcome == Outcome::Found { &mut self.found } else { &mut self.provisioned };
        *count = count.saturating_add(1);
        let left = left(self.list, &self.log);
        self.output.event(&MadeEvent { event: outcome, made: &made, left });
        self.output.say(&format!(
            "  {} has its block, node 0x{:02X}. Label: {}",
            row.serial,
            row.node_address,
            crate::text::shown(&made.label)
        ));
        Ok(made)
    }

    async fn ask_for_anchors(&mut self, device: &mut Device) -> Result<(), Error> {
        let node = device.node;
        enter(&mut self.connection, node).await?;
        let trust = Session::new(&mut self.connection, node).trust().await;
        let _ = reset(&mut self.connection, node).await?;
        device.trust =
            trust.map_err(|trouble| trouble.with(&self.connection, node, "asking for its anchors"))?;
        back(&mut self.connection, node, self.cli, self.interrupt).await
    }

    fn print_label(&self, row: &Row) -> Result<PathBuf, Error> {
        let no_code = || Error::Line(LineFault::Label { serial: row.serial.clone() });
        let svg = label::svg(row).ok_or_else(no_code)?;
        let folder = self.list.folder().join(LABELS);
        std::fs::create_dir_all(&folder).map_err(|source| Error::line_write(&folder, source))?;
        let path = folder.join(format!("{}.svg", row.file_name()));
        write_whole(&path, svg.as_bytes(), Readers::Everybody, Existing::Replace)
            .map_err(|source| Error::line_write(&path, source))?;
        Ok(path)
    }

    /// What the anchors of a block and the successions of the line lead to; `None`: the line has none.
    fn trusted(&self, block: &Block) -> Result<Option<TrustStoreBuf>, Error> {
        if self.successions.records.is_empty() {
            return Ok(None);
        }
        let mut store = TrustStoreBuf::new(block.content.anchors.as_slice().iter().copied());
        let records = Records { successions: self.successions.clone(), ..Records::default() };
        records.add_to(&mut store, self.output)?;
        Ok(Some(store))
    }

    /// A device that was made for a root which was succeeded since leaves the line with the present one.
    async fn bring_successions(&mut self, device: Device, trusted: &TrustStoreBuf) -> Result<Device, Error> {
        let node = device.node;
        enter(&mut self.connection, node).await?;
        let mut session = Session::new(&mut self.connection, node);
        let outcome = match session.trust().await {
            Ok(Some(trust)) => bring(&mut session, trusted, &trust, self.output).await,
            Ok(None) => Err(Trouble::Lost("it does not report its anchors".to_owned())),
            Err(trouble) => Err(trouble),
        };
        let _ = reset(&mut self.connection, node).await?;
        let outcome =
            outcome.map_err(|trouble| trouble.with(&self.connection, node, "sending the successions"))?;
        if let Some((_, error)) = outcome.faults.into_iter().next() {
            return Err(error);
        }
        back(&mut self.connection, node, self.cli, self.interrupt).await?;
        read(&mut self.connection, node).await
    }

    /// Notes the devices on the bus that have a block of the list and are not noted. Gives the last of them.
    async fn take_stock(&mut self) -> Result<Option<Made>, Error> {
        let scan = scan::scan(&mut self.connection, self.cli.scan_time);
        let found = match self.interrupt.or(Moment::BeforeTransfer, scan).await {
            Err(error) if is_alone(&error) => scan::Found::default(),
            found => found?,
        };
        let mut last = None;
        for device in found.devices.into_iter().filter(|device| device.state.mode != Mode::Factory) {
            let row = device.serial.as_str().and_then(|serial| self.list.row(serial));
            let Some(row) = row.filter(|row| self.log.standing(&row.serial) != Standing::OnDevice) else {
                continue;
            };
            let block = self.list.block(row)?;
            let trusted = self.trusted(&block)?;
            let device = self.at_its_address(row, device).await?;
            last = Some(self.finish(row, &block, device, trusted, Outcome::Found).await?);
        }
        Ok(last)
    }

    /// A device that took its block just before the line was cut off answers where blank devices do until it starts anew.
    async fn at_its_address(&mut self, row: &Row, device: Device) -> Result<Device, Error> {
        if device.node == row.node_address || device.state.mode != Mode::Loader {
            return Ok(device);
        }
        let _ = reset(&mut self.connection, device.node).await?;
        let found = back(&mut self.connection, row.node_address, self.cli, self.interrupt).await;
        if let Err(Error::Interrupted(moment)) = found {
            return Err(Error::Interrupted(moment));
        }
        // A device whose block says otherwise is back where it was.
        read(&mut self.connection, if found.is_ok() { row.node_address } else { device.node }).await
    }

    /// Waits for the one device in factory state that may have this block, or for the one that has it already.
    async fn wait_for_device(&mut self, row: &Row, block: &Block) -> Result<Seen, Error> {
        let until = Instant::now() + self.options.wait;
        let words = format!("Connect the device for {}", row.serial);
        let undecided = match self.log.standing(&row.serial) {
            Standing::Undecided { factory_tag } => Some(factory_tag),
            Standing::Free | Standing::OnDevice | Standing::SetAside => None,
        };
        loop {
            if undecided.is_some()
                && let Some(made) = self.take_stock().await?
            {
                return Ok(Seen::Found(made));
            }
            if let Some(device) = self.look(block).await? {
                let tag = self.factory_tag(device.node).await?;
                self.output.wait_end();
                if undecided.as_ref().is_some_and(|known| known.is_none() || *known != tag) {
                    return Err(Error::Line(LineFault::Undecided { serial: row.serial.clone() }));
                }
                return Ok(Seen::Blank(Box::new(device), tag));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.output.wait_end();
                return Err(match undecided {
                    Some(_) => Error::Line(LineFault::Undecided { serial: row.serial.clone() }),
                    None => self.nobody_came().await,
                });
            }
            self.output.waiting(WAITING, &words, left);
            let pause = async {
                tokio::time::sleep(LOOK_INTERVAL).await;
                Ok(())
            };
            self.interrupt.or(Moment::BeforeTransfer, pause).await?;
        }
    }

    /// Why there is no device to provision: nobody answers, or those who do have a block.
    async fn nobody_came(&mut self) -> Error {
        let found = match scan::scan(&mut self.connection, self.cli.scan_time).await {
            Ok(found) => found,
            Err(error) => return error,
        };
        let others = found.others;
        let provisioned = found.devices.into_iter().filter(|device| device.state.mode != Mode::Factory);
        let serials: Vec<String> = provisioned.map(|device| device.serial.to_string()).collect();
        if serials.is_empty() {
            return Error::NoDevice { bus: self.connection.bus_name(), others };
        }
        Error::Line(LineFault::NoneBlank { serials })
    }

    /// The one device in factory state, if there is one.
    async fn look(&mut self, block: &Block) -> Result<Option<Device>, Error> {
        let node = self.blank_node.unwrap_or(DEFAULT_NODE_ADDRESS);
        let (connection, output, scan_time) = (&mut self.connection, self.output, self.cli.scan_time);
        let looked = async {
            if !connection.has_factory_device(node).await? {
                return Ok(None);
            }
            output.wait_end();
            look_around(connection, self.blank_node, block.identity(), scan_time, output).await.map(Some)
        };
        match self.interrupt.or(Moment::BeforeTransfer, looked).await {
            // It was taken off again.
            Err(Error::NoDevice { .. }) => Ok(None),
            Err(Error::Refused { reason: Reason::AlreadyProvisioned, .. }) => Ok(None),
            Err(error) if is_alone(&error) => {
                self.connection.recover(&Trouble::Bus(BusError::Stuck)).await;
                Ok(None)
            }
            looked => looked,
        }
    }

    /// What tells this device apart from others in factory state; `None` if it does not say.
    async fn factory_tag(&mut self, node: u8) -> Result<Option<String>, Error> {
        match Session::new(&mut self.connection, node).read(did::FACTORY_TAG).await {
            Ok(tag) => Ok(Some(hex::encode(tag))),
            Err(Trouble::Refused(_)) => Ok(None),
            Err(trouble) => Err(trouble.with(&self.connection, node, scan::READING)),
        }
    }
}

/// What a wait for a device ends with.
enum Seen {
    /// A device in factory state, with its tag.
    Blank(Box<Device>, Option<String>),
    /// A device that has the block already; it is noted now.
    Found(Made),
}

/// Whether nobody acknowledges a frame: no device is connected yet.
fn is_alone(error: &Error) -> bool {
    matches!(error, Error::Bus { source: BusError::Stuck, .. })
}

//! `update`: choose, verify, plan, ask, send, restart, report (docs/updater-host.md).

mod agreement;
mod offers;
mod outcome;
mod prepared;
mod standing;

use trust::{RevocationList, TrustStoreBuf};
use update_protocol::profile::Component;

use self::offers::Offered;
use self::outcome::{UpdateReport, UpdateResult, report};
#[cfg(feature = "http")]
pub(crate) use self::prepared::Ended;
use self::prepared::Prepared;
use self::standing::{is_done, warn_of_unfinished};
#[cfg(feature = "http")]
use crate::cache::Cache;
use crate::cli::{Cli, Update};
use crate::commands::report::check_free;
use crate::connection::Connection;
use crate::device::{Device, DeviceTrust, target_of};
use crate::error::{Error, Moment, Subject};
use crate::install::{Delivered, Delivery, NewestList, Refused};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::plan::ReleaseName;
#[cfg(feature = "http")]
use crate::reporting::Reporting;
use crate::scan::{READING, choose};
use crate::session::Session;
#[cfg(feature = "http")]
use crate::source;
use crate::source::{HostChecks, Offer};
use crate::trusted::{Records, read_anchors, read_successions};

/// # Errors
/// [`Error`]
pub(crate) async fn run(
    cli: &Cli,
    options: &Update,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<UpdateReport, Error> {
    options.refusal_report.as_deref().map(check_free).transpose()?;
    let checks = if options.dangerous_skip_host_checks { HostChecks::Skipped } else { HostChecks::Enforced };
    if checks == HostChecks::Skipped {
        output.warn(
            "host-checks-skipped",
            "THE HOST'S CHECKS ARE OFF: a release that fails verification is sent.",
        );
    }
    #[cfg(feature = "http")]
    let reporting = Reporting::new(cli, options.contact(), output)?;
    #[cfg(not(feature = "http"))]
    let reporting: Option<Reporting> = None;
    let update = Run { cli, options, checks, reporting: reporting.as_ref(), output, interrupt };
    let outcome = update.run().await;
    #[cfg(feature = "http")]
    if let Some(reporting) = &reporting {
        reporting.tell_lost(output);
    }
    outcome
}

/// A program without HTTP reports to nobody.
#[cfg(not(feature = "http"))]
enum Reporting {}

/// The update of one device.
struct Run<'r> {
    cli: &'r Cli,
    options: &'r Update,
    checks: HostChecks,
    reporting: Option<&'r Reporting>,
    output: &'r Output,
    interrupt: &'r Interrupt,
}

impl Run<'_> {
    async fn run(&self) -> Result<UpdateReport, Error> {
        let Self { cli, options, output, interrupt, .. } = *self;
        #[cfg(feature = "http")]
        let reporting = self.reporting;
        // What was given is read before a device is bothered.
        let mut trusted = read_anchors(&options.anchors, &options.recovery_anchors)?;
        let mut records =
            Records { successions: read_successions(&options.successions)?, ..Records::default() };
        records.read_lists(&options.revocations)?;
        #[cfg(feature = "http")]
        let cache = Cache::of(cli)?;
        #[cfg(feature = "http")]
        if let Some(cache) = &cache {
            source::fetched_records(cache, &trusted, &mut records)?;
        }
        records.add_to(&mut trusted, output)?;
        #[cfg(feature = "http")]
        if let Some(cache) = &cache {
            source::keep_successions(cache, &trusted, output)?;
        }
        let found = async {
            let mut connection = Connection::open(cli).await?;
            let mut device = choose(&mut connection, &options.choice, cli.scan_time).await?;
            device.check_identity()?;
            #[cfg(feature = "http")]
            if let Some(reporting) = reporting {
                reporting.deliver(output, interrupt).await;
                source::fetch_records(&reporting.online(output), &mut trusted).await?;
            }
            let offers = self.offers(&trusted, &mut device).await;
            Ok((connection, device, offers))
        };
        let (connection, device, offers) = interrupt.or(Moment::BeforeTransfer, found).await?;
        let known = Known {
            lists: newest_lists(&trusted),
            trusted: &trusted,
            #[cfg(feature = "http")]
            cache: cache.as_ref(),
        };
        self.bring(Reached { connection, device }, offers, &known).await
    }

    /// Brings the device what there is for it, one after the other.
    async fn bring(
        &self,
        mut reached: Reached,
        offers: Vec<Offered>,
        known: &Known<'_>,
    ) -> Result<UpdateReport, Error> {
        self.ask(&mut reached, &offers, known.trusted).await?;
        let mut report: Option<UpdateReport> = None;
        let mut offers = offers.into_iter().peekable();
        while let Some(offered) = offers.next() {
            let component = offered.component;
            if let Some(before) = &report {
                if !before.is_settled() {
                    let what = target_of(component).name();
                    let words = format!("The {what} is left as it is: what runs would have to confirm it.");
                    self.output.say(&words);
                    break;
                }
                before.tell(self.output);
                reached.look_again().await?;
            }
            let next = self.one(&mut reached, offered, known).await;
            // What comes next may be what the device waits for.
            let is_last = next.is_err() || offers.peek().is_none();
            if is_last && next.as_ref().map_or_else(is_about_the_release, UpdateReport::is_untouched) {
                reached.tell_unfinished(self.output).await;
            }
            let next = next?;
            report = Some(match report {
                Some(before) if component == Component::Table => before.followed_by(next),
                _ => next,
            });
        }
        report.ok_or(Error::NothingToInstall)
    }

    /// Brings the device one release.
    async fn one(
        &self,
        reached: &mut Reached,
        Offered { component, offer, is_tried }: Offered,
        known: &Known<'_>,
    ) -> Result<UpdateReport, Error> {
        let Self { cli, options, checks, output, interrupt, .. } = *self;
        let Known { trusted, ref lists, .. } = *known;
        let Reached { connection, device } = reached;
        let offer = match offer {
            Ok(offer) => device.turn(component).map(|()| offer),
            refused => refused,
        };
        let tries = if is_tried { Ok(None) } else { checks.apply(device.check_tries(), output) };
        let offer = tries.and(offer);
        let release = match offer {
            Ok(Offer::Release(release)) if !is_done(device, &release, options) => release,
            offer => {
                // What is told of a device is told of one.
                let settled = Session::new(connection, device.node).settle().await;
                settled.map_err(|trouble| trouble.with(connection, device.node, READING))?;
                #[cfg(feature = "http")]
                let remembered = remembered(known.cache, device)?;
                #[cfg(not(feature = "http"))]
                let remembered: Option<DeviceTrust> = None;
                let delivery = Delivery {
                    connection,
                    device,
                    trusted,
                    remembered: remembered.as_ref(),
                    lists,
                    knows_one_domain: trusted.domains().count() == 1,
                    output,
                    interrupt,
                    patience: cli.patience,
                };
                let delivered = if offer.as_ref().err().is_none_or(is_about_the_release) {
                    delivery.run(options.yes).await?
                } else {
                    Delivered::default()
                };
                device.trust = delivered.trust.or(device.trust.take());
                #[cfg(feature = "http")]
                remember(known.cache, device, output);
                let found = Found { device, reporting: self.reporting };
                return found.without_install(offer, &delivered.refused, output, interrupt).await;
            }
        };
        let mut prepared = Prepared { connection, device, release, run: self, trusted, lists };
        let installed = prepared.install().await;
        #[cfg(feature = "http")]
        remember(known.cache, prepared.device, output);
        installed
    }
}

/// A device on its bus.
struct Reached {
    connection: Connection,
    device: Device,
}

impl Reached {
    /// Tells what an earlier update has begun. A device that turned out to run its release was freed of that.
    async fn tell_unfinished(&mut self, output: &Output) {
        if self.device.has_unfinished() && self.look_again().await.is_ok() {
            warn_of_unfinished(&self.device, output);
        }
    }

    /// Reads what the device is now, after an update.
    async fn look_again(&mut self) -> Result<(), Error> {
        let Self { connection, device } = self;
        let node = device.node;
        let read = Session::new(connection, node).device().await;
        let read = read.map_err(|trouble| trouble.with(connection, node, READING))?;
        if read.serial != device.serial {
            let (expected, found) = (device.serial.to_string(), read.serial.to_string());
            return Err(Error::DeviceChanged { expected, found });
        }
        let trust = read.trust.clone().or(device.trust.take());
        *device = Device { trust, ..read };
        Ok(())
    }
}

/// What is known here before anything is sent.
struct Known<'r> {
    trusted: &'r TrustStoreBuf,
    lists: Vec<NewestList>,
    #[cfg(feature = "http")]
    cache: Option<&'r Cache>,
}

/// A device, and whom to tell of it.
struct Found<'r> {
    device: &'r Device,
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "there is nobody to tell"))]
    reporting: Option<&'r Reporting>,
}

impl Found<'_> {
    /// The end of an update without anything to install: a release that was refused, that runs already or that does not
    /// exist. `refused` says which records the device did not take.
    #[cfg_attr(not(feature = "http"), allow(clippy::unused_async, unused_variables))]
    async fn without_install(
        &self,
        offer: Result<Offer, Error>,
        refused: &[Refused],
        output: &Output,
        interrupt: &Interrupt,
    ) -> Result<UpdateReport, Error> {
        #[cfg(feature = "http")]
        if let Some(reporting) = self.reporting {
            reporting.records_refused(self.device, refused, output);
        }
        let offer = match offer {
            Ok(offer) => offer,
            Err(error) => {
                #[cfg(feature = "http")]
                if let Some(reporting) = self.reporting {
                    reporting.deliver(output, interrupt).await;
                }
                return Err(error);
            }
        };
        let (result, release, name, no_newer) = match offer {
            Offer::Release(release) => {
                let name = ReleaseName::of(&release);
                (UpdateResult::UpToDate, Some(release), name, None)
            }
            Offer::Older { newest, words } => (UpdateResult::NothingNewer, None, newest, Some(words)),
        };
        let with_table = release.as_ref().is_some_and(|release| release.table.is_some());
        // An earlier run may have ended before it could say so.
        #[cfg(feature = "http")]
        if let Some(reporting) = self.reporting {
            reporting.runs(self.device, release.as_ref(), output, interrupt).await;
        }
        #[cfg(not(feature = "http"))]
        drop(release);
        // It holds this release, or none is newer; a device that works is something else.
        if self.device.silence().is_some() || !self.device.has_firmware() {
            return Err(Error::NothingRuns { reason_code: self.device.state.reason });
        }
        let mut after = self.device.installed();
        // Nobody but its release has a name for a table.
        if result == UpdateResult::UpToDate && self.device.component == Component::Table {
            after.version.clone_from(&name.version);
        }
        let mut report = report(self.device, name, result, after, None);
        report.with_table = with_table;
        report.no_newer = no_newer;
        Ok(report)
    }
}

/// What the device said to an earlier run that it trusts: its application does not say it.
#[cfg(feature = "http")]
fn remembered(cache: Option<&Cache>, device: &Device) -> Result<Option<DeviceTrust>, Error> {
    let id = uuid::Uuid::from_bytes(device.identity.device);
    let kept = cache.map(|cache| cache.device_trust(id)).transpose()?.flatten();
    Ok(kept.and_then(|report| DeviceTrust::read(&report).ok()))
}

/// Keeps what the device trusts, so that it is not taken from its application again to be asked.
#[cfg(feature = "http")]
fn remember(cache: Option<&Cache>, device: &Device, output: &Output) {
    let id = uuid::Uuid::from_bytes(device.identity.device);
    let Some((cache, trust)) = cache.zip(device.trust.as_ref()) else { return };
    if let Err(error) = cache.keep_device_trust(id, &trust.encode()) {
        output.warn(&error.code(), &format!("{error}; the device is asked again the next time"));
    }
}

/// Whether an error says that there is no release for the device, and not that this program was not able to look.
fn is_about_the_release(error: &Error) -> bool {
    let is_refused = matches!(
        error,
        Error::NoTable { .. }
            | Error::NoFirmware { .. }
            | Error::Refused {
                subject: Subject::Envelope | Subject::Image | Subject::SlotImage { .. } | Subject::Table,
                ..
            }
    );
    #[cfg(feature = "http")]
    let is_refused = is_refused
        || matches!(
            error,
            Error::NoRelease { .. } | Error::NotOffered { .. } | Error::ServerRefused { status: 410, .. }
        );
    is_refused
}

/// The lists that are held here; which of them the device can verify is asked when it is in its session.
fn newest_lists(trusted: &TrustStoreBuf) -> Vec<NewestList> {
    let given = |list: RevocationList<'_>| NewestList {
        domain: list.domain(),
        sequence: list.sequence(),
        bytes: list.as_bytes().to_vec(),
    };
    trusted.lists().map(given).collect()
}

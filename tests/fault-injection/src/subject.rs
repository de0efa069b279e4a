//! The device whose loader is attacked: the flash of the emulated board in memory, and the loader library over it. It
//! makes the flash of each case, and judges the flash that an attack leaves.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use anyhow::{Context as _, Result, anyhow, bail};
use bootloader::authority::OwnKey;
use bootloader::flash::{Flash, HasLayout};
use bootloader::journal::Journal;
use bootloader::layout::{Area, Layout, Slot};
use bootloader::mailbox::{MAILBOX_LEN, Request};
use bootloader::reporting::Authenticated;
use bootloader::session::Description;
use bootloader::state::BootState;
use bootloader::{Boot, Buffers, Loader, Session, application};
use device_harness::device::wake;
use device_harness::part::Symmetric;
use flash_array::{FlashArray, Store, store_len};
use qemu_mps2_support::layout::FLASH_LEN;
use qemu_mps2_support::{AN386_LAYOUT, AN386_TABLE_LAYOUT};
use suit_manifest::Reason;
use suit_manifest::profile::Decrypting;
use update_protocol::profile::{Component, Destination, Object};
use update_protocol::uds::server::{Download, Handler as _};

/// Bytes of the PSRAM that the flash takes.
pub(crate) const STORE_LEN: usize = store_len(FLASH_LEN) as usize;
/// More resets than any procedure needs.
const RESETS_MAX: usize = 8;

const DESCRIPTION: Description =
    Description { loader_version: "test", max_request_len: 4095, factory_tag: 0x0123_4567_89AB_CDEF };

#[derive(Clone, Debug)]
struct Memory(Rc<RefCell<Vec<u8>>>);

impl Memory {
    fn of(bytes: Vec<u8>) -> Self {
        Self(Rc::new(RefCell::new(bytes)))
    }
}

impl Store for Memory {
    type Error = Infallible;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        let start = offset as usize;
        bytes.copy_from_slice(&self.0.borrow()[start..start + bytes.len()]);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        let start = offset as usize;
        self.0.borrow_mut()[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

type Array = FlashArray<Memory>;

/// Whom a device believes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Believes {
    Roots,
    OwnKey,
    /// The same, with a table.
    OwnKeyTabled,
}

/// The emulated board with a table beside its firmware, and its own key.
struct Board;

impl HasLayout for Board {
    type Profile = Decrypting;
    type Authority = OwnKey;
    type Reports = Authenticated;

    fn layout(&self) -> &Layout {
        &AN386_LAYOUT
    }

    fn table(&self) -> Option<&Layout> {
        Some(&AN386_TABLE_LAYOUT)
    }
}

/// What came of a reset.
struct Started {
    /// The mailbox of the image that runs.
    mailbox: Option<[u8; MAILBOX_LEN]>,
    refusal: Option<Reason>,
}

/// A download: where to, and what.
pub(crate) type Sent<'s> = (u32, &'s [u8]);

/// A device that no attack has reached yet, or what one left.
pub(crate) struct Subject {
    memory: Memory,
    pub(crate) layout: Layout,
    believes: Believes,
}

impl Subject {
    /// A new chip.
    pub(crate) fn new(layout: Layout, believes: Believes) -> Self {
        Self { memory: Memory::of(vec![0; STORE_LEN]), layout, believes }
    }

    /// The same device with this memory.
    pub(crate) fn with(&self, memory: Vec<u8>) -> Self {
        Self { memory: Memory::of(memory), ..*self }
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> Vec<u8> {
        self.memory.0.borrow().clone()
    }

    fn flash(&self) -> Result<Flash<Array>> {
        self.flash_of(self.layout)
    }

    fn flash_of<L: HasLayout>(&self, layout: L) -> Result<Flash<Array, L>> {
        let array =
            FlashArray::power_up(self.memory.clone(), FLASH_LEN).map_err(|error| anyhow!("{error:?}"))?;
        Flash::new(array, layout).map_err(|error| anyhow!("{error:?}"))
    }

    /// What the journal says.
    pub(crate) fn state(&self) -> Result<BootState> {
        Ok(application::Device::open(self.flash()?).state())
    }

    /// A reset; whether an image runs.
    pub(crate) fn boot(&self) -> Result<bool> {
        Ok(self.hand_over()?.is_some())
    }

    /// A reset; the mailbox of the image that runs.
    fn hand_over(&self) -> Result<Option<[u8; MAILBOX_LEN]>> {
        Ok(self.start(None, &[])?.mailbox)
    }

    /// A reset; why the device stays on its bus.
    pub(crate) fn refusal(&self) -> Result<Option<Reason>> {
        Ok(self.start(None, &[])?.refusal)
    }

    /// Resets until nothing changes any more; the mailbox of the image that runs then.
    pub(crate) fn settle(&self) -> Result<Option<[u8; MAILBOX_LEN]>> {
        for _ in 0..RESETS_MAX {
            let before = self.memory();
            let mailbox = self.hand_over()?;
            if self.memory() == before {
                return Ok(mailbox);
            }
        }
        bail!("the device does not come to rest within {RESETS_MAX} resets")
    }

    /// Whether there is a table beside its firmware.
    pub(crate) fn is_tabled(&self) -> bool {
        self.believes == Believes::OwnKeyTabled
    }

    fn open_table(&self, mailbox: &[u8; MAILBOX_LEN]) -> Result<application::Table<Array>> {
        Ok(application::Table::open(self.flash_of(AN386_TABLE_LAYOUT)?, mailbox))
    }

    /// The table that an application takes that finds this in its mailbox.
    pub(crate) fn table(&self, mailbox: &[u8; MAILBOX_LEN]) -> Result<Option<Vec<u8>>> {
        let Some(found) = self.open_table(mailbox)?.found() else { return Ok(None) };
        let start = (found.address - AN386_TABLE_LAYOUT.base()) as usize;
        let memory = self.memory.0.borrow();
        // A length that a fault made up may lead anywhere.
        Ok(Some(
            memory
                .get(start..)
                .map_or(Vec::new(), |bytes| bytes[..bytes.len().min(found.len as usize)].to_vec()),
        ))
    }

    /// What the journal of the table says.
    pub(crate) fn table_state(&self) -> Result<BootState> {
        Ok(application::Device::open(self.flash_of(AN386_TABLE_LAYOUT)?).state())
    }

    /// Ends the trial of the running image.
    pub(crate) fn confirm(&self) -> Result<()> {
        application::Device::open(self.flash()?).confirm().map(drop).map_err(|error| anyhow!("{error:?}"))
    }

    /// A reset with this request, and objects that are sent to a loader that stays.
    fn start(&self, request: Option<Request>, objects: &[Sent<'_>]) -> Result<Started> {
        match self.believes {
            Believes::Roots => self.start_as(self.layout, request, objects),
            Believes::OwnKey => self.start_as(Symmetric::from(self.layout), request, objects),
            Believes::OwnKeyTabled => self.start_as(Board, request, objects),
        }
    }

    fn start_as<L: HasLayout>(
        &self,
        layout: L,
        request: Option<Request>,
        objects: &[Sent<'_>],
    ) -> Result<Started> {
        let (mut envelope, mut list) = ([0; _], [0; _]);
        let buffers = Buffers { envelope: &mut envelope, list: &mut list };
        match Loader::start(self.flash_of(layout)?, buffers).boot(&wake(request), DESCRIPTION) {
            Boot::Run(entry) => Ok(Started { mailbox: Some(entry.mailbox()), refusal: None }),
            Boot::Stay(mut session) => {
                objects.iter().try_for_each(|(address, bytes)| download(&mut session, *address, bytes))?;
                Ok(Started { mailbox: None, refusal: session.refusal().map(|refusal| refusal.reason) })
            }
        }
    }

    /// Sends objects in one session.
    pub(crate) fn send(&self, objects: &[(impl Into<Destination> + Copy, &[u8])]) -> Result<()> {
        let address = |destination: Destination| destination.address().context("no address");
        let sent = objects.iter().map(|(object, bytes)| Ok((address((*object).into())?, *bytes)));
        self.download(&sent.collect::<Result<Vec<_>>>()?)
    }

    /// Sends a file.
    pub(crate) fn send_file(&self, component: Component, file: &[u8]) -> Result<()> {
        self.download(&[(component.file_address(), file)])
    }

    fn download(&self, sent: &[Sent<'_>]) -> Result<()> {
        let started = self.start(Some(Request::ProgrammingSession { answer: true }), sent)?;
        if started.mailbox.is_some() { bail!("the loader was asked for") } else { Ok(()) }
    }

    /// Sends a release and its image, or its table.
    pub(crate) fn install(&self, component: Component, envelope: &[u8], bytes: &[u8]) -> Result<()> {
        let image = Object::Image { offset: 0 };
        self.send(&[(Object::Envelope.of(component), envelope), (image.of(component), bytes)])
    }

    /// Installs, tries and confirms a table.
    pub(crate) fn update_table(&self, envelope: &[u8], table: &[u8]) -> Result<()> {
        self.install(Component::Table, envelope, table)?;
        let mailbox = self.hand_over()?.context("the device does not boot")?;
        self.open_table(&mailbox)?.confirm().map(drop).map_err(|error| anyhow!("{error:?}"))
    }

    /// Installs, tries and confirms a release.
    pub(crate) fn update(&self, envelope: &[u8], image: &[u8]) -> Result<()> {
        self.install(Component::Firmware, envelope, image)?;
        if !self.boot()? {
            bail!("the new image does not boot");
        }
        self.confirm()
    }

    /// Puts a head and an image into a slot, as an attacker with access to the flash would.
    pub(crate) fn place(&self, slot: Slot, envelope: &[u8], image: &[u8]) -> Result<()> {
        self.place_in(self.layout, slot, envelope, image)
    }

    /// The same for firmware or table, whose layout this is.
    pub(crate) fn place_in(&self, layout: Layout, slot: Slot, envelope: &[u8], image: &[u8]) -> Result<()> {
        let mut flash = self.flash_of(layout)?;
        let result = flash.erase_area(Area::Slot(slot)).and_then(|()| {
            flash.program_padded(Area::Slot(slot), 0, envelope)?;
            flash.program_padded(Area::Slot(slot), layout.head_len(), image)
        });
        result.map_err(|error| anyhow!("{error:?}"))
    }

    /// Puts a state into the journal, as an attacker with access to the flash would.
    pub(crate) fn forge(&self, change: impl FnOnce(&mut BootState)) -> Result<()> {
        self.forge_in(self.layout, change)
    }

    /// The same for firmware or table, whose layout this is.
    pub(crate) fn forge_in(&self, layout: Layout, change: impl FnOnce(&mut BootState)) -> Result<()> {
        let mut flash = self.flash_of(layout)?;
        let mut journal: Journal = Journal::open(&mut flash);
        let mut state = *journal.state();
        change(&mut state);
        journal.forge(&mut flash, state).map_err(|error| anyhow!("{error:?}"))
    }

    /// Flips a bit of a slot.
    pub(crate) fn flip(&self, slot: Slot, offset: u32, bit: u8) {
        self.flip_in(self.layout, slot, offset, bit);
    }

    /// The same for firmware or table, whose layout this is.
    pub(crate) fn flip_in(&self, layout: Layout, slot: Slot, offset: u32, bit: u8) {
        let at = layout.region(Area::Slot(slot)).start + offset;
        self.memory.0.borrow_mut()[at as usize] ^= 1 << bit;
    }

    /// The slot of the image that the journal calls active.
    pub(crate) fn active_slot(&self) -> Result<Slot> {
        Ok(match self.state()?.spare_slot(&self.layout) {
            Slot::B => Slot::A,
            _ => Slot::B,
        })
    }

    /// Whether a slot holds this image.
    pub(crate) fn holds(&self, slot: Slot, image: &[u8]) -> bool {
        let start = (self.layout.region(Area::Slot(slot)).start + self.layout.head_len()) as usize;
        self.memory.0.borrow()[start..start + image.len()] == *image
    }

    /// Whether this image in this slot is what the loader would run.
    pub(crate) fn runs(&self, (slot, image): (Slot, &[u8])) -> Result<bool> {
        Ok(self.active_slot()? == slot && self.holds(slot, image))
    }
}

fn download<L: HasLayout>(session: &mut Session<'_, Array, L>, address: u32, bytes: &[u8]) -> Result<()> {
    let size = u32::try_from(bytes.len())?;
    let mut result = session.open_object(Download { address, size });
    let mut offset = 0;
    for block in bytes.chunks(1024) {
        result = result.and_then(|_| session.write_object(offset, block));
        offset += u32::try_from(block.len())?;
    }
    let result = result.and_then(|()| session.finish_object());
    result.map_err(|nrc| anyhow!("{address:#010x} was refused: {nrc:?}, {:?}", session.refusal()))
}

//! The geometry of a part: one chip or more, each with its word, its sectors and the value of an erased byte.

/// One chip. Its sectors lie one after the other, and chips do, too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chip {
    /// Bytes that are programmed at once.
    pub word: usize,
    /// Bytes that each sector has, from the first one on.
    pub sectors: Vec<usize>,
    /// The value of an erased byte.
    pub erased: u8,
    /// A word that was not programmed since its sector was erased faults when it is read, like one with an ECC fault.
    pub faults_when_erased: bool,
}

impl Chip {
    /// Sectors of one size, erased to FF, which can be read.
    #[must_use]
    pub fn even(word: usize, sector: usize, len: usize) -> Self {
        Self { word, sectors: vec![sector; len / sector], erased: 0xFF, faults_when_erased: false }
    }
}

/// A sector of a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sector {
    pub(crate) start: usize,
    pub(crate) len: usize,
}

#[derive(Debug)]
struct Extent {
    end: usize,
    word: usize,
    erased: u8,
    faults_when_erased: bool,
}

/// All chips of a part in one space of offsets.
#[derive(Debug)]
pub(crate) struct Geometry {
    chips: Vec<Extent>,
    sectors: Vec<Sector>,
    /// The smallest word.
    grain: usize,
}

impl Geometry {
    pub(crate) fn new(chips: &[Chip]) -> Self {
        let (mut end, mut extents, mut sectors) = (0, Vec::new(), Vec::new());
        for chip in chips {
            for &len in &chip.sectors {
                assert!(len.is_multiple_of(chip.word), "a sector is whole words");
                sectors.push(Sector { start: end, len });
                end += len;
            }
            let Chip { word, erased, faults_when_erased, .. } = *chip;
            extents.push(Extent { end, word, erased, faults_when_erased });
        }
        let grain = chips.iter().map(|chip| chip.word).min().expect("a chip");
        Self { chips: extents, sectors, grain }
    }

    pub(crate) fn len(&self) -> usize {
        self.chips.last().map_or(0, |chip| chip.end)
    }

    fn chip(&self, offset: usize) -> &Extent {
        self.chips.iter().find(|chip| offset < chip.end).expect("an offset within the part")
    }

    /// Bytes of the word at this offset.
    pub(crate) fn word(&self, offset: usize) -> usize {
        self.chip(offset).word
    }

    /// The word that has this byte.
    pub(crate) fn word_start(&self, offset: usize) -> usize {
        offset - offset % self.word(offset)
    }

    pub(crate) fn chip_ends(&self) -> impl Iterator<Item = usize> + '_ {
        self.chips.iter().map(|chip| chip.end)
    }

    /// Bytes of the words of each chip that lies in this range.
    pub(crate) fn words_in(&self, start: usize, end: usize) -> impl Iterator<Item = usize> + '_ {
        let starts = std::iter::once(0).chain(self.chips.iter().map(|chip| chip.end));
        let chips = self.chips.iter().zip(starts);
        chips.filter(move |(chip, begin)| *begin < end && start < chip.end).map(|(chip, _)| chip.word)
    }

    pub(crate) fn erased(&self, offset: usize) -> u8 {
        self.chip(offset).erased
    }

    pub(crate) fn faults_when_erased(&self, offset: usize) -> bool {
        self.chip(offset).faults_when_erased
    }

    pub(crate) fn any_faults_when_erased(&self) -> bool {
        self.chips.iter().any(|chip| chip.faults_when_erased)
    }

    /// Place of a word in a list by words.
    pub(crate) fn index(&self, offset: usize) -> usize {
        offset / self.grain
    }

    pub(crate) fn sectors(&self) -> &[Sector] {
        &self.sectors
    }

    /// Number of the sector that has this byte.
    pub(crate) fn sector(&self, offset: usize) -> usize {
        self.sectors.partition_point(|sector| sector.start + sector.len <= offset)
    }
}

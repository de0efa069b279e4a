//! The list of rules. `tidy --list` prints it, and the tests plant a fault for each.

macro_rules! rules {
    ($($name:ident $words:literal;)*) => {
        /// What a finding breaks.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub(crate) enum Rule {
            $(#[doc = $words] $name,)*
        }

        impl Rule {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The rule as a sentence without its full stop.
            pub(crate) const fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)*
                }
            }
        }
    };
}

rules! {
    Edge "a package depends only on the members that tidy's table allows";
    UnknownPackage "tidy's table of edges lists each package";
    Inclusion "a source takes in files of its own package only";
    HeapFeature "no device build turns on a feature for a heap, std, hosts or tests";
    HeapInDeviceCode "code that a device runs names neither alloc nor std";
    Allocator "no allocator in the device's product";
    UnsafeOutsideBoards "unsafe is written in bootloader/boards and anchorage-app only";
    ForbidUnsafe "each crate root outside of the boards and the C library forbids unsafe code";
    LibraryLint "each library warns of missing documentation, # Errors sections and #[must_use]";
    EmptyCrate "each crate does something";
    NotRust "each .rs file is Rust";
    FileLength "a Rust file has at most 800 lines";
    Unfinished "no todo!, unimplemented! or dbg!";
    IgnoredTest "no ignored test";
    GetAccessor "an accessor has the name of what it returns, without get_";
    ImportOrder "imports stand in the order std, crates, own";
    ModRs "no mod.rs; the module file lies beside its directory";
    ModuleName "a module's name says what is inside";
    BannedWord "no path of one machine, package registry or file outside of the repository";
    MarkdownWidth "a line of Markdown has fewer than 200 characters";
    WildcardOverKind "no `_` arm over our error kinds";
    NonExhaustiveKind "no error kind of ours is non_exhaustive";
    ReasonTable "suit-manifest has the table of reasons";
    ReasonProduced "some code produces each reason";
    ReasonDocumented "docs/errors.md lists each reason";
    ReasonKnown "docs/errors.md lists only reasons of the table";
    CodeDocumented "a program's page lists each of its codes";
    CodeProduced "a program produces each code of its page";
    AttackLabel "an entry of docs/attacks.md has a label of a known section";
    AttackLabelOnce "a label has one entry";
    AttackParts "an entry says what the attack achieves, its check and its tests";
    AttackTested "an entry has a test or is marked as not yet built";
    AttackTestExists "an entry names tests that exist";
    AttackTestListed "an entry names each attack_ test";
    AttackLabelOfTest "a label in a test's name has an entry";
    AttackLabelOfComment "a label in a comment has an entry";
    ComplianceOnce "a requirement of docs/compliance.md has one entry";
    ComplianceParts "an entry of docs/compliance.md says what there is and its tests";
    ComplianceTested "an entry of docs/compliance.md has a test, or says why not";
    ComplianceTestExists "docs/compliance.md names tests that exist";
    RequirementLabel "a requirement is labelled by document, section, and a letter where there are several";
    RequirementOnce "a requirement has one entry";
    RequirementParts "an entry of docs/requirements says what is done and its tests";
    RequirementTested "an entry of docs/requirements has a test, or says why not";
    RequirementTestExists "docs/requirements names tests that exist";
    RequirementFileExists "an entry of docs/requirements with a test names files that exist";
    RequirementCount "the entries of a page of docs/requirements stand for each word that it counts";
    RequirementTestListed "an entry of docs/requirements names each threat_ test";
}

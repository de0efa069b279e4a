//! What to do about each error.

use suit_manifest::Reason;
use suit_manifest::author::NotationError;

use super::Error;
use crate::kind::Kind;

impl Error {
    /// What to do about it, one sentence.
    pub fn hint(&self) -> &str {
        match self {
            Self::Usage { .. } => "Run the command with --help.",
            Self::FileExists(_) => {
                "Choose another name; --force replaces the file, where the command has it."
            }
            Self::FileKept { kept, .. } => kept.hint(),
            Self::MinimumAboveCeiling { .. } => {
                "Pass the credential with the higher ceiling as --known; --allow-unreachable-minimum stops all releases."
            }
            Self::BelowLowestGeneration { .. } => {
                "Pass the highest generation of the key as --generation; if that is lower too, the list revokes it already."
            }
            Self::KeyLacksRight { .. } => Reason::AnchorRights.hint(),
            Self::NotOfIssuingKey { .. } => {
                "Pass the credential that the root issued to the key of the line (credential issue --role identity); ledger export of the \
                 root's ledger writes it again."
            }
            Self::ConfirmationNeeded => "Pass --yes once you have read what the command is going to do.",
            Self::Declined => "Run the command again when you want it.",
            Self::RequestOld { .. } => "Make a new request with succession request.",
            Self::NoChain(_) => "Check --history; devices that hold the present root need its list only.",
            Self::KeyWasRevoked { .. } => "Generate a new key: whoever took this one still has it.",
            Self::KeyHasRole { .. } | Self::DeviceKeyHasRole { .. } => {
                "Generate a separate key for each role."
            }
            Self::AnchorHasRole { .. } => {
                "Pass the root as --anchor and the recovery root as --recovery-anchor: a device made otherwise takes nothing."
            }
            Self::Step { .. } => {
                "Check the number: it can never fall again. Pass --allow-large-step if it is intended."
            }
            Self::InsideLedger { .. } => {
                "Choose another folder: in that of a ledger nobody writes but what signs or notes in it."
            }
            Self::SameFile(_) => "Use a different file for each input and output.",
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::FileTooLarge => {
                "Raise the limit on the size of files (ulimit -f), or write to another file system."
            }
            Self::File { .. } => "Check the path, its permissions and the free space.",
            Self::FileUnknown(_, Some(Kind::Report)) => "Pass it to manifest-tool report show.",
            Self::FileUnknown(..) => {
                "Check that you passed the right file; with --edn, inspect shows any file of CBOR."
            }
            Self::FileTooLong { .. } => "Check that you passed the right file.",
            Self::NoNotation { fault, .. } => match fault {
                NotationError::NotExact => "Omit --edn: manifest-tool inspect shows what can be read of it.",
                NotationError::TooLong | NotationError::TooMany => {
                    "Take the images out with manifest-tool extract, or omit --edn: long values are cut then."
                }
            },
            Self::Output(_) => {
                "Check where standard output goes; output files named on the command line are complete."
            }
            Self::Clock(_) => {
                "Set the clock of this machine. If it is right, pass --now with the time of now; where a record is dated ahead by mistake, with one after it."
            }
            Self::PassphraseNeeded => {
                "Pass --passphrase-file, set ANCHORAGE_PASSPHRASE_FILE, or run the command in a terminal."
            }
            Self::NewPassphraseNeeded => {
                "Pass --new-passphrase-file, or run the command in a terminal: --passphrase-file and ANCHORAGE_PASSPHRASE_FILE open a key that is there."
            }
            Self::PassphraseUnusable(fault) => fault.hint(),
            Self::PassphraseWrong(_) => "Check the passphrase and the key file.",
            Self::PrivateKey { fault, .. } => fault.hint(),
            Self::PassphraseWeak(_) => {
                "Choose five or more random words; pass --weak-passphrase for a key that only tests use."
            }
            Self::MasterKey { .. } => {
                "Pass the file that key master wrote, or one line of 32 or 64 hexadecimal digits."
            }
            Self::Exposed(_) => {
                "Take the permissions of others away (chmod 600); if others may have read it, make the keys anew."
            }
            Self::KeyCheck { .. } => {
                "Pass the master key, --line, --derivation and --revision with which the batch was made."
            }
            Self::PublicKey { source, .. } => source.hint(),
            Self::VerifyingKey { source, .. } => source.hint(),
            Self::AgreementKey { source, .. } => source.hint(),
            Self::Blocks { shortfall, .. } => shortfall.hint(),
            Self::KeyOperation { .. } => "Run the command again.",
            Self::Holder(error) => error.hint(),
            Self::SignatureForeign => {
                "Check that the public key belongs to the key that signs, and that it signs the bytes as they are (pure Ed25519)."
            }
            Self::SignatureForm { .. } => {
                "Pass the 64 bytes of the signature as they are, in hex or in base64."
            }
            Self::Share { fault, .. } | Self::Shares(fault) => fault.hint(),
            Self::BackupOfAnotherKey { .. } => {
                "Find the backup of the key that is meant; this one is of another key."
            }
            Self::OtherBytes { .. } => {
                "Pass the envelope and the credential for which the bytes were written."
            }
            Self::DevicesFile { .. } => "Correct the line; nothing was made of any line.",
            Self::LineLog { .. } => {
                "Take the whole folder from the production line: devices.csv, the credentials, and line.jsonl as it is."
            }
            Self::NoLineLog(_) => {
                "Give the devices their blocks with `updater-host provision --from DIR`, which writes it. If they have them already (`updater-host provision \
                 FILE` writes no log), connect them and run `updater-host provision --from DIR --next`: it notes those that it finds."
            }
            Self::DeviceKnown { .. } => {
                "Give the device another serial and a key of its own, or pass --again if its block has to be made once more."
            }
            Self::BatchDiffers { .. } => {
                "Pass the credential of the issuing key with which the batch was begun; if you did not begin it, give it up: ledger void."
            }
            Self::NoSuchDevice { .. } => {
                "ledger show and ledger export of the line's ledger list its devices."
            }
            Self::DevicesReturn { .. } => {
                "Revoke their issuing keys in the same list (by name), and certify others; or pass --allow-return-of-devices. Devices \
                 of an unknown line: pass its ledger as --devices."
            }
            Self::Certificate { fault, .. } => fault.hint(),
            Self::CredentialOfAnotherKey(_) => "Pass the key for which the credential was issued.",
            Self::Author { .. } => "Correct the value that the message names.",
            Self::Recipients { .. } => {
                "Make a release for each group of devices, with a sequence number of its own."
            }
            Self::Release { fault, .. } => fault.hint(),
            Self::Description { .. } => "Correct the line (docs/compose.md).",
            Self::Folder { fault, .. } => fault.hint(),
            Self::Image { source, .. } => source.hint(),
            Self::Refused { found: Some(_), .. } => "Pass the file that this argument asks for.",
            Self::Refused { reason, .. } => reason.hint(),
            Self::ReportKey { is_derived: true, .. } => {
                "Pass the master key, --line, --derivation, --revision and --serial with which the device was made; with --devices its \
                 key-check value tells. If they are right, the file was changed, or is another device's."
            }
            Self::ReportKey { is_derived: false, .. } => {
                "Pass the block of the device that made the report. If it is that one, the file was changed, or the device has later keys."
            }
            Self::NoRecipient(_) => {
                "Ask the maker of the release to encrypt it to your public key; manifest-tool inspect shows for whom it is."
            }
            Self::OtherRelease { .. } => {
                "Pass the release that the device was to install, or ask the device again."
            }
            Self::Member { fault, .. } => fault.hint(),
            Self::ImageMismatch { difference, .. } => difference.hint(),
            Self::ServerUrl(_) => "Pass a URL such as https://updates.example.com.",
            Self::Authorities(_) => {
                "Pass the PEM certificate of the authority that issued the server's certificate."
            }
            Self::TokenFile { .. } => "Write the token of the server into the file, on a line of its own.",
            Self::Http { .. } => "Check the URL, the network and the server, then run the command again.",
            Self::ServerRefused { status: 401 | 403, .. } => "Check --token-file.",
            Self::ServerRefused { code: Some(code), rows, .. }
                if code == "rows-refused" && !rows.is_empty() =>
            {
                "Correct what the rows name, or pass --good-rows: then the others are registered."
            }
            Self::ServerRefused { code: Some(code), .. } if code == "credential-older" => {
                "The server has a later credential of this issuing key, and keeps it. Pass the newest one (ledger export of the root's \
                 ledger), or leave --issuing out."
            }
            Self::ServerRefused { hint: Some(hint), .. } => hint,
            Self::ServerRefused { code: Some(code), .. } => {
                let known = Reason::ALL.iter().find(|reason| reason.slug() == code);
                known.map_or("See docs/server-api.md.", |reason| reason.hint())
            }
            Self::ServerRefused { .. } => {
                "Check that --server names an update-server; if it does, read the log of the server."
            }
            Self::LaterPart { cause, .. } => cause.hint(),
            Self::ServerAnswer { .. } => "Check that --server names an update-server of this version.",
            Self::Ledger(error) | Self::Published { source: error, .. } => error.hint(),
            Self::Devices { .. } => "Save the answer of GET /v1/devices of the update-server, as it is.",
            Self::Reported(_) => "Read the report.",
            Self::Ceremony(error) => error.hint(),
            Self::Internal(_) => "Please report it.",
        }
    }
}

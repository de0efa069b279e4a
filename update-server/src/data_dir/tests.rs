use super::*;

#[test]
fn one_holder_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/data");
    let held = DataDir::open(&path).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
    match DataDir::open(&path) {
        Err(DataDirError::InUse { holder, .. }) => assert_eq!(holder, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    drop(held);
    DataDir::open(&path).unwrap();
}

#[test]
fn a_directory_that_everybody_may_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(DataDir::open(dir.path()), Err(DataDirError::WorldWritable { mode: 0o777, .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is written on refusal");
}

#[test]
fn a_folder_of_others_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("letter"), b"").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(DataDir::open(dir.path()), Err(DataDirError::Foreign { .. })));
    assert_eq!(dir.path().metadata().unwrap().mode() & 0o777, 0o755);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

    // An empty one is taken, with what a new file system or an interrupted start leaves in it.
    fs::remove_file(dir.path().join("letter")).unwrap();
    for name in ["lost+found", "images"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    DataDir::open(dir.path()).unwrap();
    // Ours stays ours, whatever an operator lays beside it.
    fs::write(dir.path().join("copy.sqlite"), b"").unwrap();
    DataDir::open(dir.path()).unwrap();
}

#[test]
fn a_database_that_is_lost_beside_its_images_is_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    DataDir::open(dir.path()).unwrap();
    let (database, folder) = (dir.path().join("registry.sqlite"), dir.path().join("images/ab"));
    fs::create_dir(&folder).unwrap();
    // Nothing is lost yet: no image was ever kept.
    DataDir::open(dir.path()).unwrap();
    fs::write(folder.join("abcd"), b"image").unwrap();
    let refused = DataDir::open(dir.path()).unwrap_err();
    assert!(matches!(refused, DataDirError::DatabaseLost { state: "empty", .. }), "{refused:?}");
    fs::remove_file(&database).unwrap();
    let refused = DataDir::open(dir.path()).unwrap_err();
    assert!(matches!(refused, DataDirError::DatabaseLost { state: "missing", .. }), "{refused:?}");
    assert!(!database.exists());
    fs::write(&database, b"whatever SQLite says of it").unwrap();
    DataDir::open(dir.path()).unwrap();
}

#[test]
fn what_others_may_read_is_closed_to_them() {
    let dir = tempfile::tempdir().unwrap();
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let files = ["", "registry.sqlite", "registry.sqlite-wal"].map(|name| dir.path().join(name));
    for file in &files[1..] {
        fs::write(file, b"").unwrap();
        set(file, 0o644);
    }
    set(dir.path(), 0o755);
    fs::create_dir(dir.path().join("images")).unwrap();
    set(&dir.path().join("images"), 0o777);
    DataDir::open(dir.path()).unwrap();
    assert_eq!(dir.path().join("images").metadata().unwrap().mode() & 0o777, 0o750);
    let modes = files.each_ref().map(|path| path.metadata().unwrap().mode() & 0o777);
    // The owner's group may be that of a backup.
    assert_eq!(modes, [0o750, 0o640, 0o640]);
    let new = dir.path().join("new");
    DataDir::open(&new).unwrap();
    assert_eq!(new.join("registry.sqlite").metadata().unwrap().mode() & 0o777, 0o600);
}

#[test]
fn the_group_may_read_and_not_write() {
    let dir = tempfile::tempdir().unwrap();
    DataDir::open(dir.path()).unwrap();
    let paths = ["", "registry.sqlite", "images"].map(|name| dir.path().join(name));
    for path in &paths {
        fs::set_permissions(path, fs::Permissions::from_mode(0o770)).unwrap();
    }
    DataDir::open(dir.path()).unwrap();
    assert_eq!(paths.map(|path| path.metadata().unwrap().mode() & 0o777), [0o750; 3]);
}

/// Everything below a folder, with its kind and mode.
fn listing(dir: &Path) -> Vec<(PathBuf, u32)> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> =
        entries.map(|path| (path.clone(), path.symlink_metadata().unwrap().mode())).collect();
    all.sort();
    all
}

#[test]
fn what_lies_in_the_place_of_a_file_is_refused_by_name_and_left_alone() {
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    fs::write(elsewhere.path(), b"precious").unwrap();
    let names = ["lock", "registry.sqlite", "registry.sqlite-wal", "registry.sqlite-shm", "images"];
    for name in names {
        for (kind, words) in [
            ("folder", "it is a folder, not a file"),
            ("link", "it is a symbolic link"),
            ("pipe", "it is a pipe, not a"),
            ("second name", "it is a link to another file"),
            ("file", "it is a file, not a folder"),
        ] {
            let is_wrong =
                if name == "images" { ["link", "pipe", "file"] } else { ["folder", "link", "pipe"] };
            let is_second_name = kind == "second name" && name != "images";
            if !is_wrong.contains(&kind) && !is_second_name {
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
            let path = dir.path().join(name);
            if name != "registry.sqlite" {
                fs::write(dir.path().join("registry.sqlite"), b"").unwrap();
            }
            match kind {
                "folder" => fs::create_dir(&path).unwrap(),
                "link" if name == "images" => std::os::unix::fs::symlink("/does/not/exist", &path).unwrap(),
                "link" => std::os::unix::fs::symlink(elsewhere.path(), &path).unwrap(),
                "pipe" => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
                "file" => fs::write(&path, b"").unwrap(),
                _ => fs::hard_link(elsewhere.path(), &path).unwrap(),
            }
            let before = listing(dir.path());
            let error = DataDir::open(dir.path()).unwrap_err();
            assert!(
                matches!(&error, DataDirError::InTheWay { path: named, .. } if *named == path),
                "{error:?}"
            );
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(listing(dir.path()), before, "{name}, {kind}: nothing is made or changed");
            assert_eq!(dir.path().metadata().unwrap().mode() & 0o777, 0o755);
        }
    }
    assert_eq!(fs::read(elsewhere.path()).unwrap(), b"precious");
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    // Only root can give files away.
    if !nix::unistd::geteuid().is_root() {
        DataDir::open(Path::new("/")).unwrap_err();
        return;
    }
    for name in ["", "lock", "registry.sqlite", "registry.sqlite-wal", "images"] {
        let dir = tempfile::tempdir().unwrap();
        DataDir::open(dir.path()).unwrap();
        let path = dir.path().join(name);
        if !path.exists() {
            fs::write(&path, b"").unwrap();
        }
        std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
        let error = DataDir::open(dir.path()).unwrap_err();
        assert!(
            matches!(&error, DataDirError::OtherOwner { path: named, source } if named.ends_with(name) && source.owner == 12345),
            "{error:?}"
        );
    }
}

#[test]
fn images_may_lie_on_another_disk() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(dir.path().join("registry.sqlite"), b"").unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("images")).unwrap();
    fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o755)).unwrap();
    DataDir::open(dir.path()).unwrap();
    assert_eq!(elsewhere.path().metadata().unwrap().mode() & 0o777, 0o750);
}

#[test]
fn a_file_is_not_a_data_directory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(DataDir::open(file.path()), Err(DataDirError::NotADirectory { .. })));
}

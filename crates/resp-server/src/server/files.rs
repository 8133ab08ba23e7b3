//! Files that the engine wants changed: by a thread of their own, as the system may take any time for them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, TryRecvError};
use std::thread;

use crate::engine::{Edit, EditUnderWay};

/// Gives a file the content that `edit` makes of its present one; nothing, if there is no such file. The new content replaces the
/// old in one step and is on the disk by then, so that whoever reads the file, also after a crash, sees one of them whole.
pub(super) fn edit(path: String, edit: Edit) -> EditUnderWay {
    let (sender, outcome) = mpsc::channel();
    let begun = thread::Builder::new().name("files".to_owned()).spawn(move || {
        // Who asked may have gone.
        let _ = sender.send(replace(Path::new(&path), edit).map_err(|error| in_short(&error)));
    });
    let mut refused = begun.err().map(|error| in_short(&error));
    EditUnderWay::new(move || match refused.take() {
        Some(error) => Some(Err(error)),
        None => match outcome.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err("the thread that wrote it has ended".to_owned())),
        },
    })
}

/// What the system says, without the number that Rust adds.
fn in_short(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn replace(path: &Path, edit: Edit) -> io::Result<()> {
    // Where a link leads, the file is replaced and not the link.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (old, permissions) = match std::fs::read(&path) {
        Ok(old) => (old, Some(std::fs::metadata(&path)?.permissions())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), None),
        Err(error) => return Err(error),
    };
    let new = edit(old);
    let temporary = temporary_beside(&path);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        file.write_all(&new)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)
    })();
    if let Err(error) = written {
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// A name in the same folder, as only within one file system a file can take another's place.
fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(path: &Path, new: &[u8]) -> Result<(), String> {
        let new = new.to_vec();
        let mut under_way = edit(path.to_string_lossy().into_owned(), Box::new(move |old| [old, new].concat()));
        loop {
            if let Some(outcome) = under_way.poll() {
                return outcome;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn a_file_is_made_then_replaced_and_nothing_else_is_left() {
        let folder = std::env::temp_dir().join(format!("files-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("a.conf");
        done(&path, b"one").unwrap();
        let link = folder.join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        done(&link, b" two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one two");
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
        assert_eq!(done(&folder, b""), Err("Is a directory".to_owned()));
        assert_eq!(done(&folder.join("no/a.conf"), b""), Err("No such file or directory".to_owned()));
        std::fs::remove_dir_all(folder).unwrap();
    }
}

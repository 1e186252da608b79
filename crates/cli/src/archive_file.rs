//! Where an archive goes that a command writes: a file, which appears when it is complete, or standard output, which must
//! not be a terminal. The words are Docker's.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::failure::Failure;

/// Has `work` write to the file `output`, or to standard output. `doing` is what fails, as in "failed to save image".
pub(crate) fn write<T>(
    output: Option<&str>,
    doing: &str,
    work: impl FnOnce(&mut dyn Write) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let Some(path) = output else {
        if rustix::termios::isatty(rustix::stdio::stdout()) {
            return Err(Failure::new("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
        }
        // Not the buffered one: archives come in large pieces.
        let fd = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)
            .map_err(|error| Failure::new(format!("write to standard output: {error}")))?;
        return work(&mut File::from(fd));
    };
    check(path).map_err(|why| Failure::new(format!("{doing}: {why}")))?;
    let path = Path::new(path);
    let failed = |error: std::io::Error| Failure::new(format!("{doing}: write {}: {error}", path.display()));
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        // A pipe, say: it cannot be put into its place.
        return work(&mut File::options().write(true).open(path).map_err(failed)?);
    }
    let (temporary, mut file) = beside(path).map_err(failed)?;
    let done = work(&mut file).and_then(|done| {
        std::fs::rename(&temporary, path).map_err(failed)?;
        Ok(done)
    });
    if done.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&temporary);
    }
    done
}

/// Refuses what no archive can be written to.
pub(crate) fn check(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("invalid output path: it is empty".into());
    }
    let clean = path.trim_end_matches('/');
    if let Some(folder) = Path::new(clean).parent().filter(|folder| !folder.as_os_str().is_empty())
        && !folder.exists()
    {
        return Err(format!(
            "invalid output path: directory {:?} does not exist",
            folder.display().to_string()
        ));
    }
    match std::fs::metadata(path) {
        Ok(there) if there.is_dir() => Err(format!("invalid output path: {path:?} is a directory")),
        Ok(there) if there.file_type().is_block_device() || there.file_type().is_socket() => {
            Err(format!("invalid output path: {path:?} must be a directory or a regular file"))
        }
        _ => Ok(()),
    }
}

/// A new file in the same folder.
fn beside(path: &Path) -> std::io::Result<(std::path::PathBuf, File)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for number in 0..1000 {
        let temporary = path.with_file_name(format!(".{name}.{}-{number}", std::process::id()));
        match File::options().write(true).create_new(true).open(&temporary) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            other => return other.map(|file| (temporary, file)),
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

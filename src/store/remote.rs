//! Objects in a folder, or in a bucket of S3 or of what talks like it.

use crate::disk::new_file;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt, PutMode, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    buffered::BufWriter,
    local::LocalFileSystem,
    path::Path,
};
use std::{
    env, fs,
    io::{self, Read, Write},
    path::{Path as FilePath, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    runtime::{self, Runtime},
};

/// Requests that are under way at a time.
pub(super) const AT_A_TIME: usize = 16;
/// The longest that one request may take, with all the bytes that it carries.
const REQUEST: Duration = Duration::from_mins(2);
/// How much of a file is sent at a time.
const PIECE: usize = 1 << 20;

/// Objects by key, below one place.
pub struct Remote {
    address: String,
    pub(super) objects: Arc<dyn ObjectStore>,
    /// What stands before every key.
    pub(super) root: Path,
    /// Where requests are made; none once it is dropped. Workers may be called from a runtime of their own, in which none
    /// can be waited for.
    runtime: Option<Runtime>,
}

/// Why objects can't be had or kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` can't be used: {reason}")]
pub struct RemoteError {
    /// The place.
    pub address: String,
    /// What the system or the store said.
    pub reason: String,
    /// What to do about it.
    pub help: &'static str,
}

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its length.
    pub bytes: u64,
    /// What changes when it does.
    pub stamp: String,
}

impl Remote {
    /// Those in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn in_folder(folder: &FilePath) -> Result<Self, RemoteError> {
        let refused = |reason: String| RemoteError {
            address: folder.display().to_string(),
            reason,
            help: "see that the folder can be written",
        };
        fs::create_dir_all(folder).map_err(|error| refused(error.to_string()))?;
        let objects = LocalFileSystem::new_with_prefix(folder).map_err(|error| refused(error.to_string()))?;
        let address = folder.display().to_string();
        Self::new(address, Arc::new(objects.with_automatic_cleanup(true)), Path::default())
    }

    /// Those in a bucket at `BUCKET[/PREFIX][?endpoint=URL]`. What else is to be known, and who asks, the environment tells.
    ///
    /// # Errors
    /// When the address is none, or it can't be used.
    pub fn at(place: &str, retry: Duration) -> Result<Self, RemoteError> {
        let (place, query) = place.split_once('?').unwrap_or((place, ""));
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let wrong = |reason: &str| RemoteError {
            address: format!("s3://{place}"),
            reason: reason.to_owned(),
            help: "write it as `s3://BUCKET[/PREFIX][?endpoint=URL]`",
        };
        if bucket.is_empty() {
            return Err(wrong("it names no bucket"));
        }
        let endpoint = match query.split_once('=') {
            Some(("endpoint", url)) => Some(("AWS_ENDPOINT_URL".to_owned(), url.to_owned())),
            None if query.is_empty() => None,
            _ => return Err(wrong("what stands behind its `?` is no `endpoint=URL`")),
        };
        // A variable that is no text is none of those that are looked for.
        let environment =
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::in_bucket(bucket, prefix, environment.chain(endpoint), retry)
    }

    /// Those in a bucket, below `prefix`. Where it lies and who asks, `environment` tells in the usual variables:
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`. What fails is
    /// tried again for as long as `retry`.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn in_bucket(
        bucket: &str,
        prefix: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        retry: Duration,
    ) -> Result<Self, RemoteError> {
        let address = format!("s3://{bucket}/{prefix}");
        let refused = |reason: String| RemoteError {
            address: address.clone(),
            reason,
            help: "check the address, and the variables that begin with `AWS_`",
        };
        // The client for HTTP takes what the process has chosen; it is an error to have chosen before, and no harm.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = ClientOptions::new()
            .with_connect_timeout(retry.min(super::patience::STANDSTILL))
            .with_read_timeout(super::patience::STANDSTILL)
            .with_timeout(REQUEST);
        let backoff = BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() };
        let retry = RetryConfig { backoff, retry_timeout: retry, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new().with_client_options(client).with_retry(retry).with_bucket_name(bucket);
        for (name, value) in environment {
            let name = name.to_ascii_lowercase();
            let key = name.starts_with("aws_").then(|| name.parse::<AmazonS3ConfigKey>().ok()).flatten();
            if let Some(key) = key {
                if key == AmazonS3ConfigKey::Endpoint && value.starts_with("http://") {
                    builder = builder.with_allow_http(true);
                }
                builder = builder.with_config(key, value);
            }
        }
        let objects = builder.build().map_err(|error| refused(error.to_string()))?;
        let root = Path::parse(prefix).map_err(|error| refused(error.to_string()))?;
        Self::new(address, Arc::new(objects), root)
    }

    fn new(address: String, objects: Arc<dyn ObjectStore>, root: Path) -> Result<Self, RemoteError> {
        match runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => Ok(Self { address, objects, root, runtime: Some(runtime) }),
            Err(error) => {
                let help = "see that this machine has threads left";
                Err(RemoteError { address, reason: error.to_string(), help })
            }
        }
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits for what is done on the runtime.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = mpsc::channel();
        let runtime = self.runtime.as_ref().expect("a store that is in use was not dropped");
        runtime.spawn(async move { sender.send(work.await) });
        receiver.recv().expect("the runtime ends with the store")
    }

    /// The objects below a key, in the order of their keys.
    ///
    /// # Errors
    /// When they can't be listed.
    pub fn list(&self, below: &str) -> Result<Vec<Entry>, RemoteError> {
        let folder = self.path(below)?;
        let root = self.root.as_ref().len() + usize::from(!self.root.as_ref().is_empty());
        let objects = self.objects.clone();
        let listed = self.wait(async move { objects.list(Some(&folder)).try_collect::<Vec<_>>().await });
        let entry = |object: object_store::ObjectMeta| Entry {
            key: object.location.as_ref()[root..].to_owned(),
            bytes: object.size,
            stamp: object.e_tag.unwrap_or_else(|| object.last_modified.to_rfc3339()),
        };
        let mut entries: Vec<Entry> = listed.map_err(|error| self.failure(&error))?.into_iter().map(entry).collect();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }

    /// The bytes under a key, if there are any.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn get(&self, key: &str) -> Result<Option<Bytes>, RemoteError> {
        let (objects, path) = (self.objects.clone(), self.path(key)?);
        let got = self.wait(async move {
            match objects.get(&path).await {
                Ok(found) => found.bytes().await.map(Some),
                Err(Error::NotFound { source, .. }) if !says_no_bucket(&source.to_string()) => Ok(None),
                Err(error) => Err(error),
            }
        });
        got.map_err(|error| self.failure(&error))
    }

    /// Puts bytes under a key, in the place of what was there.
    ///
    /// # Errors
    /// When they can't be put.
    pub fn put(&self, key: &str, bytes: Bytes) -> Result<(), RemoteError> {
        self.put_by(key, bytes, PutMode::Overwrite).map(drop)
    }

    /// Puts bytes under a key where nothing is; whether that was so.
    ///
    /// # Errors
    /// When they can't be put.
    pub fn put_new(&self, key: &str, bytes: Bytes) -> Result<bool, RemoteError> {
        self.put_by(key, bytes, PutMode::Create)
    }

    fn put_by(&self, key: &str, bytes: Bytes, mode: PutMode) -> Result<bool, RemoteError> {
        let (objects, path) = (self.objects.clone(), self.path(key)?);
        let put = self.wait(async move {
            match objects.put_opts(&path, bytes.into(), mode.into()).await {
                Ok(_) => Ok(true),
                Err(Error::AlreadyExists { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        });
        put.map_err(|error| self.failure(&error))
    }

    /// Fetches objects into files, each of which is there whole or not at all; they lie in `workshop` while they are not.
    ///
    /// # Errors
    /// When one is not there, or a file can't be written.
    pub fn fetch(&self, wanted: &[(String, PathBuf)], workshop: &FilePath) -> Result<(), RemoteError> {
        let mut all = Vec::new();
        for (key, file) in wanted {
            all.push((self.path(key)?, file.clone()));
        }
        let (objects, workshop) = (self.objects.clone(), workshop.to_owned());
        let fetched = self.wait(async move {
            let fetch = |(path, file): (Path, PathBuf)| {
                let (objects, workshop) = (objects.clone(), workshop.clone());
                async move {
                    let mut pieces = objects.get(&path).await?.into_stream();
                    let mut copy = make(&workshop, &file).map_err(not_written)?;
                    while let Some(piece) = pieces.next().await {
                        copy.write_all(&piece?).map_err(not_written)?;
                    }
                    copy.persist(&file).map_err(|error| not_written(error.error))?;
                    Ok(())
                }
            };
            stream::iter(all).map(fetch).buffer_unordered(AT_A_TIME).try_collect::<()>().await
        });
        fetched.map_err(|error| self.failure(&error))
    }

    /// Sends a file; whether it is there.
    ///
    /// # Errors
    /// When it can't be sent.
    pub fn send(&self, key: &str, file: &FilePath) -> Result<bool, RemoteError> {
        let (objects, path, file) = (self.objects.clone(), self.path(key)?, file.to_owned());
        let sent = self.wait(async move {
            let mut file = match fs::File::open(&file) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(not_read(error)),
            };
            let (mut writer, mut piece) = (BufWriter::new(objects, path), vec![0; PIECE]);
            loop {
                let count = file.read(&mut piece).map_err(not_read)?;
                if count == 0 {
                    break;
                }
                writer.write_all(&piece[..count]).await.map_err(unwrapped)?;
            }
            writer.shutdown().await.map_err(unwrapped)?;
            Ok(true)
        });
        sent.map_err(|error| self.failure(&error))
    }

    /// Removes objects; those that are not there don't matter.
    ///
    /// # Errors
    /// When they can't be removed.
    pub fn remove(&self, keys: &[String]) -> Result<(), RemoteError> {
        let paths = keys.iter().map(|key| self.path(key)).collect::<Result<_, _>>()?;
        self.delete(paths).map_err(|error| self.failure(&error))
    }

    pub(super) fn delete(&self, paths: Vec<Path>) -> Result<(), Error> {
        let objects = self.objects.clone();
        self.wait(async move {
            let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
            let mut deleted = objects.delete_stream(paths);
            while let Some(result) = deleted.next().await {
                match result {
                    Ok(_) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }

    /// The path of a key, which begins where the place does.
    fn path(&self, key: &str) -> Result<Path, RemoteError> {
        let whole = format!("{}/{key}", self.root);
        Path::parse(&whole).map_err(|error| self.failure(&error.into()))
    }

    fn failure(&self, error: &Error) -> RemoteError {
        let reason = error.to_string();
        let help = match error {
            _ if says_no_bucket(&reason) => "make the bucket, or name another",
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                "let its role list the bucket, and get, put and delete its objects"
            }
            Error::InvalidPath { .. } => "give the file a name of letters, digits, `-`, `_` and `.`",
            Error::NotFound { .. } => "put the file there again",
            _ => "see that it can be reached, and that there is room on the disk",
        };
        RemoteError { address: self.address.clone(), reason, help }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // One that waited would panic within another runtime.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// Whether a store says that the bucket itself is not there.
fn says_no_bucket(reason: &str) -> bool {
    reason.contains("NoSuchBucket") || reason.contains("bucket does not exist")
}

fn make(workshop: &FilePath, file: &FilePath) -> io::Result<tempfile::NamedTempFile> {
    file.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::create_dir_all(workshop)?;
    new_file(workshop)
}

fn not_written(error: io::Error) -> Error {
    Error::Generic { store: "copying", source: error.into() }
}

fn not_read(error: io::Error) -> Error {
    Error::Generic { store: "reading", source: error.into() }
}

/// What a store said, without what a writer has put around it.
fn unwrapped(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => not_written(error),
    }
}

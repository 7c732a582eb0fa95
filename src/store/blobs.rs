//! A parameter store in a folder, or in a bucket of S3 or of what talks like it. Neither tells when something comes, so they
//! are asked again and again.

use super::{
    Key, ParameterError, ParameterStore, Remote, RemoteError, Terms, Traffic, parameters::Meter, patience::gather,
    remote::AT_A_TIME,
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use object_store::{Error, ObjectStoreExt, path::Path};
use std::{
    io, thread,
    time::{Duration, SystemTime},
};

/// The folder below an address that is the store's own: what is too old there is removed.
const OWN: &str = "smlt-parameters";
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A parameter store of objects in a folder or a bucket.
pub struct Blobs {
    remote: Remote,
    /// The store's own folder.
    root: Path,
    terms: Terms,
    meter: Meter,
}

impl Blobs {
    /// The store in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn in_folder(folder: &str, terms: Terms) -> Result<Self, ParameterError> {
        Self::new(Remote::in_folder(folder.as_ref())?, terms)
    }

    /// The store in a bucket, below `prefix`, where `environment` says who asks, as [`Remote::in_bucket`] reads it.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn in_bucket(
        bucket: &str,
        prefix: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        terms: Terms,
    ) -> Result<Self, ParameterError> {
        Self::new(Remote::in_bucket(bucket, prefix, environment, terms.retry)?, terms)
    }

    /// The store below a place.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn new(remote: Remote, terms: Terms) -> Result<Self, ParameterError> {
        let root = remote.root.clone().join(OWN);
        let store = Self { remote, root, terms, meter: Meter::default() };
        let (objects, folder) = (store.remote.objects.clone(), store.folder(&store.terms.run));
        store.wait(async move { objects.list(Some(&folder)).next().await.transpose() })?;
        Ok(store)
    }

    /// The folder of what is below a key.
    fn folder(&self, key: &Key) -> Path {
        key.as_str().split('/').fold(self.root.clone(), |path, part| path.join(part))
    }

    /// The object of a key. It ends so that it is no folder of others.
    fn object(&self, key: &Key) -> Path {
        self.folder(&Key::new(&[&format!("{}.blob", key.below(&self.terms.run).as_str())]))
    }

    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, ParameterError> {
        self.remote.wait(work).map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &Error) -> ParameterError {
        let (store, reason) = (self.remote.address().to_owned(), error.to_string());
        let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        match error {
            _ if causes
                .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| full.contains(&error.kind()))) =>
            {
                ParameterError::Full { store, reason }
            }
            Error::Generic { .. } | Error::JoinError { .. } => ParameterError::Unreachable { store, reason },
            _ => ParameterError::Refused { store, reason },
        }
    }

    /// The blobs that are there now.
    fn look(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, ParameterError> {
        let objects = self.remote.objects.clone();
        let paths: Vec<Path> = keys.iter().map(|key| self.object(key)).collect();
        self.wait(async move {
            let get = |path| {
                let objects = objects.clone();
                async move {
                    match objects.get(&path).await {
                        Ok(found) => found.bytes().await.map(Some),
                        Err(Error::NotFound { .. }) => Ok(None),
                        Err(error) => Err(error),
                    }
                }
            };
            stream::iter(paths).map(get).buffered(AT_A_TIME).try_collect().await
        })
    }

    fn delete(&self, paths: Vec<Path>) -> Result<(), ParameterError> {
        self.remote.delete(paths).map_err(|error| self.failure(&error))
    }

    /// The objects below a folder, or those that were put before some time.
    fn list(&self, folder: Path, before: Option<SystemTime>) -> Result<Vec<Path>, ParameterError> {
        let objects = self.remote.objects.clone();
        self.wait(async move {
            let old = objects.list(Some(&folder)).try_filter(|object| {
                future::ready(before.is_none_or(|before| SystemTime::from(object.last_modified) < before))
            });
            old.map_ok(|object| object.location).try_collect().await
        })
    }
}

impl From<RemoteError> for ParameterError {
    fn from(RemoteError { address, reason, .. }: RemoteError) -> Self {
        Self::Refused { store: address, reason }
    }
}

impl ParameterStore for Blobs {
    fn put(&self, blobs: &[(Key, Bytes)]) -> Result<(), ParameterError> {
        let objects = self.remote.objects.clone();
        let paths: Vec<_> = blobs.iter().map(|(key, bytes)| (self.object(key), bytes.clone())).collect();
        self.wait(async move {
            let put = |(path, bytes): (Path, Bytes)| {
                let objects = objects.clone();
                async move { objects.put(&path, bytes.into()).await.map(drop) }
            };
            stream::iter(paths).map(put).buffer_unordered(AT_A_TIME).try_collect::<()>().await
        })?;
        self.meter.put(blobs);
        Ok(())
    }

    fn get(&self, keys: &[Key], patience: Duration) -> Result<Vec<Option<Bytes>>, ParameterError> {
        let mut pause = FIRST_PAUSE;
        let found = gather(keys, patience, |keys, turn| {
            let found = self.look(keys)?;
            if found.iter().any(Option::is_some) {
                pause = FIRST_PAUSE;
            } else {
                thread::sleep(pause.min(turn));
                pause = (pause * 3 / 2).min(LONGEST_PAUSE);
            }
            Ok(found)
        })?;
        self.meter.got(&found);
        Ok(found)
    }

    fn remove(&self, keys: &[Key]) -> Result<(), ParameterError> {
        self.delete(keys.iter().map(|key| self.object(key)).collect())
    }

    /// Removes as well what any run has left here that is too old: objects don't go by themselves.
    fn clear(&self, prefix: &Key) -> Result<(), ParameterError> {
        let mut paths = self.list(self.folder(&prefix.below(&self.terms.run)), None)?;
        paths.push(self.object(prefix));
        if let Some(expired) = SystemTime::now().checked_sub(self.terms.expiry) {
            paths.extend(self.list(self.root.clone(), Some(expired))?);
        }
        self.delete(paths)
    }

    fn traffic(&self) -> Traffic {
        self.meter.read()
    }
}

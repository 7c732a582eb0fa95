//! A parameter store in a folder, or in a bucket of S3 or of what talks like it. Neither tells when something comes, so they
//! are asked again and again.

use super::{
    Key, ParameterError, ParameterStore, Terms, Traffic,
    parameters::Meter,
    patience::{STANDSTILL, gather},
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    local::LocalFileSystem,
    path::Path,
};
use std::{
    fs, io,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, SystemTime},
};
use tokio::runtime::{self, Runtime};

/// The folder below an address that is the store's own: what is too old there is removed.
const OWN: &str = "smlt-parameters";
/// Requests that are under way at a time.
const AT_A_TIME: usize = 16;
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The longest that one request may take, with all the bytes that it carries.
const REQUEST: Duration = Duration::from_mins(2);

/// A parameter store of objects in a folder or a bucket.
pub struct Blobs {
    address: String,
    objects: Arc<dyn ObjectStore>,
    /// The store's own folder.
    root: Path,
    terms: Terms,
    /// Where requests are made; none once the store is dropped. Workers may be called from a runtime of their own, in which
    /// none can be waited for.
    runtime: Option<Runtime>,
    meter: Meter,
}

impl Blobs {
    /// The store in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn in_folder(folder: &str, terms: Terms) -> Result<Self, ParameterError> {
        let address = format!("file://{folder}");
        let refused = |reason: String| ParameterError::Refused { store: address.clone(), reason };
        fs::create_dir_all(folder).map_err(|error| refused(error.to_string()))?;
        let objects = LocalFileSystem::new_with_prefix(folder).map_err(|error| refused(error.to_string()))?;
        Self::new(address, Arc::new(objects.with_automatic_cleanup(true)), &Path::default(), terms)
    }

    /// The store in a bucket, below `prefix`. Where it lies and who asks, `environment` tells in the usual variables:
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn in_bucket(
        bucket: &str,
        prefix: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        terms: Terms,
    ) -> Result<Self, ParameterError> {
        let address = format!("s3://{bucket}/{prefix}");
        // The client for HTTP takes what the process has chosen; it is an error to have chosen before, and no harm.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = ClientOptions::new()
            .with_connect_timeout(terms.retry.min(STANDSTILL))
            .with_read_timeout(STANDSTILL)
            .with_timeout(REQUEST);
        let backoff = BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() };
        let retry = RetryConfig { backoff, retry_timeout: terms.retry, ..RetryConfig::default() };
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
        let objects = builder
            .build()
            .map_err(|error| ParameterError::Refused { store: address.clone(), reason: error.to_string() })?;
        Self::new(address, Arc::new(objects), &Path::from(prefix), terms)
    }

    fn new(
        address: String,
        objects: Arc<dyn ObjectStore>,
        prefix: &Path,
        terms: Terms,
    ) -> Result<Self, ParameterError> {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime =
            runtime.map_err(|error| ParameterError::Refused { store: address.clone(), reason: error.to_string() })?;
        let root = prefix.clone().join(OWN);
        let store = Self { address, objects, root, terms, runtime: Some(runtime), meter: Meter::default() };
        let (objects, folder) = (store.objects.clone(), store.folder(&store.terms.run));
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

    /// Waits for what is done on the runtime.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, ParameterError> {
        let (sender, receiver) = mpsc::channel();
        let runtime = self.runtime.as_ref().expect("a store that is in use was not dropped");
        runtime.spawn(async move { sender.send(work.await) });
        let result = receiver.recv().expect("the runtime ends with the store");
        result.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &Error) -> ParameterError {
        let (store, reason) = (self.address.clone(), error.to_string());
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
        let objects = self.objects.clone();
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

    /// The objects below a folder, or those that were put before some time.
    fn list(&self, folder: Path, before: Option<SystemTime>) -> Result<Vec<Path>, ParameterError> {
        let objects = self.objects.clone();
        self.wait(async move {
            let old = objects.list(Some(&folder)).try_filter(|object| {
                future::ready(before.is_none_or(|before| SystemTime::from(object.last_modified) < before))
            });
            old.map_ok(|object| object.location).try_collect().await
        })
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        // One that waited would panic within another runtime.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl ParameterStore for Blobs {
    fn put(&self, blobs: &[(Key, Bytes)]) -> Result<(), ParameterError> {
        let objects = self.objects.clone();
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

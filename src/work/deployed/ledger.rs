//! What the calls of a run have cost, each in an object of its own whose key says it all: one listing adds them up.

use crate::{
    prices::Prices,
    units::{Duration, Money, Size},
    wire::Failure,
    work::Shared,
};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use std::{
    sync::{Arc, LazyLock},
    time::{SystemTime, UNIX_EPOCH},
};

/// A call that was not heard of for so long has ended without a word.
const LONGEST: i64 = 16 * 60 * 1000;

/// The ledger of a run.
#[derive(Clone)]
pub(super) struct Ledger {
    shared: Arc<Shared>,
    /// What its keys begin with.
    run: String,
    /// The call that writes in it.
    call: String,
    pub prices: &'static Prices,
}

/// The prices that calls are charged at.
static PRICES: LazyLock<Prices> = LazyLock::new(Prices::embedded);

/// What was spent in a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    /// By calls that are over, and by now by those that are not.
    pub money: Money,
    /// The time that those took that are over.
    pub worked: Duration,
    /// The memory of those that are not over, in MiB.
    pub memory: i128,
}

/// A call as its key tells of it.
struct Call<'k> {
    id: &'k str,
    /// When it ended, or began where it is not over, in milliseconds.
    at: i64,
    /// How long it took in milliseconds, or its memory in MiB.
    amount: i64,
    /// What it has cost, in billionths of a dollar.
    nanos: i64,
}

impl<'k> Call<'k> {
    /// `…/ID.AT.AMOUNT.NANOS`
    fn read(key: &'k str) -> Option<Self> {
        let mut parts = key.rsplit('/').next()?.split('.');
        let number = |part: Option<&str>| part?.parse::<i64>().ok();
        let id = parts.next()?;
        Some(Self { id, at: number(parts.next())?, amount: number(parts.next())?, nanos: number(parts.next())? })
    }
}

impl Ledger {
    /// The ledger of a run, in which a call writes.
    pub fn new(shared: Arc<Shared>, run: &str, call: &str) -> Self {
        Self { shared, run: format!("runs/{run}"), call: call.to_owned(), prices: &PRICES }
    }

    /// Says that a call of a step begins.
    pub fn begin(&self, path: &str, memory: Size) -> Result<(), Failure> {
        let key = format!("{}.{}.{}.0", self.call, millis(SystemTime::now()), memory.mib());
        self.shared.put(&self.key("running", path, &key), Vec::new())
    }

    /// Says what it has cost.
    pub fn end(&self, path: &str, memory: Size, worked: Duration) -> Result<(), Failure> {
        let cost = self.prices.attempt(memory, worked).dollars() * Decimal::from(1_000_000_000);
        let nanos = cost.round().to_i64().unwrap_or(i64::MAX);
        let key = format!("{}.{}.{}.{nanos}", self.call, millis(SystemTime::now()), worked.millis());
        self.shared.put(&self.key("ledger", path, &key), Vec::new())
    }

    /// What calls have cost at a path and below that were over by `until`.
    pub fn paid(&self, path: &str, until: Option<SystemTime>) -> Result<Spent, Failure> {
        let keys = self.shared.list(&self.key("ledger", path, ""))?;
        let until = until.map_or(i64::MAX, millis);
        let calls = keys.iter().filter_map(|key| Call::read(key)).filter(|call| call.at <= until);
        let (nanos, worked) =
            calls.fold((0_i64, 0), |(nanos, worked), call| (nanos.saturating_add(call.nanos), worked + call.amount));
        Ok(Spent { money: Money::new(Decimal::new(nanos, 9)), worked: Duration::from_millis(worked), memory: 0 })
    }

    /// The same, with what the calls that are not over have cost by now.
    pub fn spent(&self, path: &str) -> Result<Spent, Failure> {
        let running = self.shared.list(&self.key("running", path, ""))?;
        // Who ends between the two listings is seen as over.
        let ended = self.shared.list(&self.key("ledger", path, ""))?;
        let over: Vec<&str> = ended.iter().filter_map(|key| Some(Call::read(key)?.id)).collect();
        let paid = self.paid(path, None)?;
        let now = millis(SystemTime::now());
        let is_running = |call: &Call| !over.contains(&call.id) && now - call.at < LONGEST;
        let (mut money, mut memory) = (paid.money, 0);
        for call in running.iter().filter_map(|key| Call::read(key)).filter(is_running) {
            let size = Size::from_mib(call.amount.unsigned_abs());
            let cost = self.prices.attempt(size, Duration::from_millis(now - call.at));
            money = money.checked_add(cost).unwrap_or(money);
            memory += i128::from(call.amount);
        }
        Ok(Spent { money, memory, ..paid })
    }

    fn key(&self, among: &str, path: &str, name: &str) -> String {
        // Brackets have no place in a key, and parentheses none in a path.
        let path = path.replace('[', "(").replace(']', ")");
        format!("{}/{among}/{path}/{name}", self.run).trim_end_matches('/').to_owned()
    }
}

/// A time in milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_calls_cost_adds_up_by_scope() {
        let folder = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared::in_folder(folder.path()).unwrap());
        let of = |call| Ledger::new(shared.clone(), "fox", call);
        let (memory, second) = (Size::from_mib(1024), Duration::from_millis(1000));
        let each = PRICES.attempt(memory, second);
        of("a").end("main/best/trial[1]", memory, second).unwrap();
        of("b").end("main/best/trial[12]/rung[0]", memory, second).unwrap();
        of("c").end("main/best2", memory, second).unwrap();
        let cost = |path: &str| of("x").paid(path, None).unwrap().money.to_f64();
        let times = |path: &str| (cost(path) / each.to_f64()).round();
        let paths = ["main", "main/best", "main/best/trial[1]", "main/best/trial[12]", "main/other"];
        assert_eq!(paths.map(times), [3.0, 2.0, 1.0, 1.0, 0.0]);
        assert_eq!(of("x").paid("main", Some(UNIX_EPOCH)).unwrap(), Spent::default());
        assert_eq!(of("x").paid("main", None).unwrap().worked, Duration::from_millis(3000));
    }

    #[test]
    fn a_call_counts_from_its_beginning_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared::in_folder(folder.path()).unwrap());
        let ledger = Ledger::new(shared, "fox", "a");
        let memory = Size::from_mib(2048);
        ledger.begin("main/net", memory).unwrap();
        let spent = ledger.spent("main").unwrap();
        assert_eq!(spent.memory, 2048);
        assert!(spent.money >= PRICES.start());
        ledger.end("main/net", memory, Duration::from_millis(5)).unwrap();
        let spent = ledger.spent("main").unwrap();
        assert_eq!((spent.memory, spent.worked), (0, Duration::from_millis(5)));
    }
}

//! The operator as bytes in a plan. What is not ours goes through Ballista's own codec.

use std::sync::Arc;

use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion::common::internal_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};

use super::operator::TaskExec;
use super::task::Work;
use super::worker::Worker;

/// Ours begin so; no message of Protobuf begins with 0xFF.
const OURS: &[u8] = b"\xFFARBLAST";

/// For scheduler and driver, or for an executor, which has a worker.
#[derive(Debug, Default)]
pub struct Codec {
    worker: Option<Arc<Worker>>,
    ballista: BallistaPhysicalExtensionCodec,
}

impl Codec {
    /// For an executor.
    pub fn of(worker: Arc<Worker>) -> Self {
        Self { worker: Some(worker), ..Self::default() }
    }
}

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(work) = bytes.strip_prefix(OURS) else {
            return self.ballista.try_decode(bytes, inputs, context, converter);
        };
        let work =
            Work::from_json(work).ok_or_else(|| internal_datafusion_err!("a plan has unreadable work"))?;
        let input =
            inputs.first().ok_or_else(|| internal_datafusion_err!("a plan has work without tasks"))?;
        Ok(Arc::new(TaskExec::new(Arc::new(work), Arc::clone(input), self.worker.clone())))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let Some(tasks) = node.downcast_ref::<TaskExec>() else {
            return self.ballista.try_encode(node, bytes, converter);
        };
        bytes.extend_from_slice(OURS);
        bytes.extend_from_slice(tasks.work().to_json().to_string().as_bytes());
        Ok(())
    }
}

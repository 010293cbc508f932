import { ponder } from "ponder:registry";
import { lease } from "ponder:schema";

ponder.on("Ledger:LeaseOpened", async ({ event, context }) => {
  const { lease: id, rate, locked, bond, fee, deadline, notice, ...rest } = event.args;
  await context.db.insert(lease).values({
    id,
    ...rest,
    rate: BigInt(rate),
    locked: BigInt(locked),
    bond: BigInt(bond),
    fee: BigInt(fee),
    deadline: BigInt(deadline),
    notice: BigInt(notice),
    block: event.block.number,
    tx: event.transaction.hash,
  });
});

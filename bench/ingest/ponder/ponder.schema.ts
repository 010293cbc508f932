import { index, onchainTable } from "ponder";

export const lease = onchainTable(
  "lease",
  (t) => ({
    id: t.hex().primaryKey(),
    buyer: t.hex().notNull(),
    provider: t.hex().notNull(),
    order: t.hex().notNull(),
    offer: t.hex().notNull(),
    job: t.hex().notNull(),
    voucherSigner: t.hex().notNull(),
    opener: t.hex().notNull(),
    fill: t.integer().notNull(),
    meter: t.integer().notNull(),
    zone: t.integer().notNull(),
    rate: t.bigint().notNull(),
    locked: t.bigint().notNull(),
    bond: t.bigint().notNull(),
    fee: t.bigint().notNull(),
    deadline: t.bigint().notNull(),
    notice: t.bigint().notNull(),
    block: t.bigint().notNull(),
    tx: t.hex().notNull(),
  }),
  (t) => ({ byBuyer: index().on(t.buyer, t.block), byProvider: index().on(t.provider, t.block) }),
);

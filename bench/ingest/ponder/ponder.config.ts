import { readFileSync } from "node:fs";
import { createConfig } from "ponder";
import { http } from "viem";

// Without a higher limit than its default of 50 requests a second, Ponder's own limiter is what one measures.
export default createConfig({
  networks: {
    anvil: { chainId: 31337, transport: http(process.env.RPC_URL), disableCache: true, maxRequestsPerSecond: 10000 },
  },
  contracts: {
    Ledger: {
      network: "anvil",
      abi: JSON.parse(readFileSync("abi.json", "utf8")),
      address: process.env.LEDGER as `0x${string}`,
      startBlock: 0,
    },
  },
});

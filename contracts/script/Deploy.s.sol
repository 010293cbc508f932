// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Script} from "forge-std/Script.sol";

import {ComputeLedger} from "../src/ComputeLedger.sol";
import {ProviderRegistry} from "../src/ProviderRegistry.sol";
import {TestDollar} from "../src/dev/TestDollar.sol";

/// @notice Deploys registry and ledger, and writes deployments/<chain-id>.json.
/// forge script script/Deploy.s.sol --rpc-url URL --private-key KEY --broadcast
/// @dev TOKEN in the environment is the stablecoin to serve; a dev chain without it gets a test dollar. The file lacks what
/// a script cannot know, genesis hash and ABI hash: `gridlease` adds them.
contract Deploy is Script {
    /// Seconds.
    uint32 private constant DEV_NOTICE = 10;
    uint32 private constant NOTICE = 300;

    function run() external returns (ComputeLedger ledger) {
        uint32 minNotice = block.chainid == 31_337 ? DEV_NOTICE : NOTICE;
        address token = vm.envOr("TOKEN", address(0));
        uint256 deployBlock = block.number;

        vm.startBroadcast();
        // Its constructor reverts on anything but a dev chain.
        if (token == address(0)) token = address(new TestDollar());
        address registry = address(new ProviderRegistry());
        ledger = new ComputeLedger({token_: token, registry_: registry, minNotice_: minNotice});
        vm.stopBroadcast();

        string memory json = "deployment";
        vm.serializeUint(json, "chainId", block.chainid);
        vm.serializeAddress(json, "ledger", address(ledger));
        vm.serializeAddress(json, "registry", registry);
        vm.serializeAddress(json, "token", token);
        vm.serializeUint(json, "deployBlock", deployBlock);
        string memory text = vm.serializeUint(json, "minNotice", minNotice);
        vm.writeJson(text, string.concat("deployments/", vm.toString(block.chainid), ".json"));
    }
}

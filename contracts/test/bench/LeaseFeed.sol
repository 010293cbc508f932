// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EventHead} from "../../src/EventHead.sol";
import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";

/// @title The ledger's events without its work, for the indexer's bench: the same layout, the same head in slot 0
/// @dev A hundred thousand real leases would measure the node's signature checks while the chain is filled.
contract LeaseFeed is EventHead {
    uint256 private constant BUYERS = 31;
    uint256 private constant PROVIDERS = 97;

    uint256 public made;

    /// @notice Every buyer deposits, so that a mirror which folds the money sees no debt.
    function fund(uint256 amount) external {
        Head memory head_ = _loadHead();
        for (uint256 i = 0; i < BUYERS; ++i) {
            address buyer = _buyer(i);
            _record(head_, 3, abi.encode(IComputeLedger.Deposited.selector, buyer, msg.sender, amount));
        }
        _storeHead(head_);
    }

    /// @notice `count` leases open.
    function open(uint256 count) external {
        Head memory head_ = _loadHead();
        uint256 id = made;
        for (uint256 end = id + count; id < end; ++id) {
            _record(head_, 4, bytes.concat(_parties(id), _terms(id)));
        }
        made = id;
        _storeHead(head_);
    }

    function _buyer(uint256 id) private pure returns (address) {
        // forge-lint: disable-next-line(unsafe-typecast) A small number.
        return address(uint160(0x2000 + id % BUYERS));
    }

    function _provider(uint256 id) private pure returns (address) {
        // forge-lint: disable-next-line(unsafe-typecast) As above.
        return address(uint160(0x1000 + id % PROVIDERS));
    }

    function _parties(uint256 id) private pure returns (bytes memory) {
        return abi.encode(
            IComputeLedger.LeaseOpened.selector,
            keccak256(abi.encode("lease", id)),
            _buyer(id),
            _provider(id),
            keccak256(abi.encode("order", id)),
            keccak256(abi.encode("offer", id % PROVIDERS)),
            keccak256(abi.encode("job", id % 1000))
        );
    }

    /// @dev voucherSigner, opener, fill, meter, zone, rate, locked, bond, fee, deadline, notice
    function _terms(uint256 id) private view returns (bytes memory) {
        return abi.encode(
            _buyer(id),
            msg.sender,
            0,
            id % 2,
            1 + id % 50,
            1 + id % 1000,
            1_000_000 + id,
            0,
            10,
            block.timestamp + 3600,
            600
        );
    }
}

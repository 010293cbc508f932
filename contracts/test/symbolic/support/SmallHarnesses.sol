// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Domain} from "../../../src/Domain.sol";
import {EventHead} from "../../../src/EventHead.sol";
import {Signatures} from "../../../src/libraries/Signatures.sol";

contract DomainHarness is Domain {
    function digest(bytes32 structHash) external view returns (bytes32) {
        return _digest(structHash);
    }
}

contract HeadHarness is EventHead {
    /// @return the head's hash after the one event
    function record(uint208 hash, uint48 count, uint256 topics, bytes calldata encoded)
        external
        returns (uint256, uint256)
    {
        Head memory head_ = Head({hash: hash, count: count});
        _record(head_, topics, encoded);
        return (head_.hash, head_.count);
    }

    function next(uint208 hash, uint48 count, bytes32 eventHash) external view returns (bytes32) {
        return _next(hash, count, eventHash);
    }

    function storeAndLoad(uint208 hash, uint48 count) external returns (uint256, uint256) {
        _storeHead(Head({hash: hash, count: count}));
        Head memory head_ = _loadHead();
        return (head_.hash, head_.count);
    }
}

contract SignaturesHarness {
    function recover(bytes32 digest, bytes calldata signature) external view returns (address) {
        return Signatures.recover(digest, signature);
    }

    function recover(bytes32 digest, uint256 v, bytes32 r, bytes32 s) external view returns (address) {
        return Signatures.recover(digest, v, r, s);
    }

    function isValidNow(address wallet, bytes32 digest, bytes calldata signature) external view returns (bool) {
        return Signatures.isValidNow(wallet, digest, signature);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {LedgerTest} from "../support/LedgerTest.sol";
import {OddToken} from "../support/OddToken.sol";

contract DepositWithAuthorizationTest is LedgerTest {
    string private constant MEMBERS =
        "(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";

    struct Authorization {
        address from;
        uint256 amount;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    function setUp() public override {
        super.setUp();
        dollar.mint(buyer.addr, 100e6);
    }

    function test_CreditsTheSignerWhoeverSendsIt() public {
        Authorization memory auth = authorize("ReceiveWithAuthorization", address(ledger));
        vm.expectEmit(address(ledger));
        emit IComputeLedger.Deposited(buyer.addr, buyer.addr, 30e6);
        vm.prank(stranger);
        deposit(ledger, auth);
        assertEq(freeOf(buyer.addr), 1_030e6, "buyer");
        assertEq(freeOf(stranger), 0, "stranger");
        assertEq(dollar.balanceOf(buyer.addr), 70e6, "token");
    }

    function test_RevertWhen_Used() public {
        Authorization memory auth = authorize("ReceiveWithAuthorization", address(ledger));
        deposit(ledger, auth);
        expectRefused(auth);
        assertEq(freeOf(buyer.addr), 1_030e6, "once");
    }

    function test_RevertWhen_OutOfItsTime() public {
        Authorization memory auth = authorize("ReceiveWithAuthorization", address(ledger));
        vm.warp(auth.validBefore);
        expectRefused(auth);
        vm.warp(auth.validAfter);
        expectRefused(auth);
        vm.warp(auth.validAfter + 1);
        deposit(ledger, auth);
        assertEq(freeOf(buyer.addr), 1_030e6, "in time");
    }

    function test_RevertWhen_SomethingElseWasSigned() public {
        for (uint256 i; i < 4; ++i) {
            Authorization memory auth = authorize("ReceiveWithAuthorization", address(ledger));
            if (i == 0) auth.amount += 1;
            if (i == 1) auth.from = provider.addr;
            if (i == 2) auth.nonce = "other";
            if (i == 3) auth.validBefore += 1;
            expectRefused(auth);
        }
        expectRefused(authorize("ReceiveWithAuthorization", stranger));
        expectRefused(authorize("TransferWithAuthorization", address(ledger)));
        assertEq(freeOf(buyer.addr), 1_000e6, "buyer");
    }

    function test_NobodyCanUseItUpAtTheToken() public {
        Authorization memory auth = authorize("ReceiveWithAuthorization", address(ledger));
        vm.expectRevert();
        vm.prank(stranger);
        dollar.receiveWithAuthorization({
            from: auth.from,
            to: address(ledger),
            value: auth.amount,
            validAfter: auth.validAfter,
            validBefore: auth.validBefore,
            nonce: auth.nonce,
            v: auth.v,
            r: auth.r,
            s: auth.s
        });
        deposit(ledger, auth);
        assertEq(freeOf(buyer.addr), 1_030e6, "buyer");
    }

    function test_RevertWhen_TheTokenKnowsNone() public {
        OddToken odd = new OddToken();
        ledger = deployLedger(address(odd), MIN_NOTICE);
        odd.mint(buyer.addr, 100e6);
        expectRefused(authorize("ReceiveWithAuthorization", address(ledger)));
    }

    function test_CreditsWhatArrived() public {
        AuthorizedFeeToken token = new AuthorizedFeeToken();
        ledger = deployLedger(address(token), MIN_NOTICE);
        token.mint(buyer.addr, 100e6);
        Authorization memory auth;
        (auth.from, auth.amount) = (buyer.addr, 30e6);
        deposit(ledger, auth);
        assertEq(freeOf(buyer.addr), 29e6, "less the fee");
    }

    function test_RevertWhen_NothingArrives() public {
        AuthorizedFeeToken token = new AuthorizedFeeToken();
        ledger = deployLedger(address(token), MIN_NOTICE);
        token.mint(buyer.addr, 1e6);
        Authorization memory auth;
        (auth.from, auth.amount) = (buyer.addr, 1e6);
        vm.expectRevert(IComputeLedger.ComputeLedger_ZeroAmount.selector);
        deposit(ledger, auth);
    }

    function expectRefused(Authorization memory auth) private {
        vm.expectRevert();
        deposit(ledger, auth);
    }

    function authorize(string memory kind, address to) private view returns (Authorization memory auth) {
        auth.from = buyer.addr;
        auth.amount = 30e6;
        auth.validAfter = block.timestamp - 10;
        auth.validBefore = block.timestamp + 10;
        auth.nonce = keccak256("nonce");
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(bytes(string.concat(kind, MEMBERS))),
                auth.from,
                to,
                auth.amount,
                auth.validAfter,
                auth.validBefore,
                auth.nonce
            )
        );
        (auth.v, auth.r, auth.s) =
            vm.sign(buyer.privateKey, keccak256(abi.encodePacked(hex"1901", dollar.DOMAIN_SEPARATOR(), structHash)));
    }

    function deposit(IComputeLedger to, Authorization memory auth) private {
        to.depositWithAuthorization({
            from: auth.from,
            amount: auth.amount,
            validAfter: auth.validAfter,
            validBefore: auth.validBefore,
            nonce: auth.nonce,
            v: auth.v,
            r: auth.r,
            s: auth.s
        });
    }
}

/// @dev Takes a dollar of each authorised transfer, and asks for no signature.
contract AuthorizedFeeToken is OddToken {
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256,
        uint256,
        bytes32,
        uint8,
        bytes32,
        bytes32
    ) external {
        _transfer(from, to, value - 1e6);
    }
}

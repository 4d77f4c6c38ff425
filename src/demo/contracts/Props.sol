// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "./Fungible.sol";

/// Moves the tokens of two owners in one transaction.
contract Settlement {
    function exchange(address token, address a, address b, uint256 valueOfA, uint256 valueOfB) external {
        Fungible(token).transferFrom(a, b, valueOfA);
        Fungible(token).transferFrom(b, a, valueOfB);
    }
}

/// A pool of two tokens, or of a token and the native one: its price is the product of its reserves, without a fee.
contract Pool {
    event Swap(
        address indexed sender,
        uint256 amount0In,
        uint256 amount1In,
        uint256 amount0Out,
        uint256 amount1Out,
        address indexed to
    );
    event Sync(uint112 reserve0, uint112 reserve1);

    address public token0;
    address public token1;
    uint256 private reserve0;
    uint256 private reserve1;

    /// token0 is the zero address where it is the native token.
    function configure(address token0_, address token1_, uint256 reserve0_, uint256 reserve1_) external {
        (token0, token1, reserve0, reserve1) = (token0_, token1_, reserve0_, reserve1_);
    }

    function buy1(uint256 amountIn) external payable {
        if (token0 == address(0)) amountIn = msg.value;
        else Fungible(token0).transferFrom(msg.sender, address(this), amountIn);
        uint256 out = reserve1 - (reserve0 * reserve1) / (reserve0 + amountIn);
        (reserve0, reserve1) = (reserve0 + amountIn, reserve1 - out);
        Fungible(token1).transfer(msg.sender, out);
        emit Sync(uint112(reserve0), uint112(reserve1));
        emit Swap(msg.sender, amountIn, 0, 0, out, msg.sender);
    }
}

/// Refuses everything, its own creation too.
contract Refusal {
    constructor() payable {
        revert("never");
    }

    fallback() external payable {
        revert("never");
    }
}

/// Takes whatever it is sent.
contract Sink {
    constructor() payable {}

    fallback() external payable {}

    receive() external payable {}
}

/// Logs whatever it is told to, in any shape that a log can have.
contract RawLogs {
    struct Entry {
        bytes32[] topics;
        bytes data;
    }

    function emitLogs(Entry[] calldata entries) external payable {
        for (uint256 i = 0; i < entries.length; i++) emitLog(entries[i].topics, entries[i].data);
    }

    function emitLog(bytes32[] memory topics, bytes memory data) private {
        assembly {
            let start := add(data, 32)
            let size := mload(data)
            let t := add(topics, 32)
            switch mload(topics)
            case 0 { log0(start, size) }
            case 1 { log1(start, size, mload(t)) }
            case 2 { log2(start, size, mload(t), mload(add(t, 32))) }
            case 3 { log3(start, size, mload(t), mload(add(t, 32)), mload(add(t, 64))) }
            default { log4(start, size, mload(t), mload(add(t, 32)), mload(add(t, 64)), mload(add(t, 96))) }
        }
    }
}

/// What an account runs that was delegated to it (EIP-7702).
contract Delegate {
    function run(address to, uint256 value, bytes calldata data) external payable {
        (bool succeeded,) = to.call{value: value}(data);
        require(succeeded, "call");
    }

    fallback() external payable {}

    receive() external payable {}
}

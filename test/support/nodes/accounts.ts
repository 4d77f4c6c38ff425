/**
 * Who sends on the nodes: the first accounts of the mnemonic that development nodes share, so that every one of them has money.
 */
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'

export const ACCOUNTS = {
  alice: privateKeyToAccount('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'),
  bob: privateKeyToAccount('0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d'),
  /** Belongs to nobody who is tracked. */
  maker: privateKeyToAccount('0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a'),
} as const satisfies Record<string, PrivateKeyAccount>

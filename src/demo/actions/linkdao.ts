/**
 * LinkDAO's contracts: staking, governance and tips. They exist on Sepolia only.
 */
import { keccak256, stringToHex } from 'viem'
import { type Action, allow, encode, pickAmount, pickCounterparty, pickUser, type Scene, show } from '../scene.ts'
import type { World } from '../world.ts'

const ETHER = 10n ** 18n
const TITLES = ['Raise the reward', 'Fund the library', 'A smaller quorum', 'Translate everything', 'Plant trees']

type Linkdao = NonNullable<World['linkdao']>

/** Actions that need LinkDAO's contracts, and perhaps more. */
function onLinkdao(
  name: string,
  run: (scene: Scene, linkdao: Linkdao) => Promise<void>,
  isPossible: (scene: Scene) => boolean = () => true,
): Action {
  return {
    name,
    isPossible: scene => scene.world.linkdao !== null && isPossible(scene),
    run: async scene => {
      if (scene.world.linkdao !== null) await run(scene, scene.world.linkdao)
    },
  }
}

async function stake(scene: Scene, { token }: Linkdao): Promise<void> {
  const user = pickUser(scene)
  const amount = BigInt(scene.dice.integer(10, 900)) * ETHER
  const data = encode(scene, 'LinkToken', 'stake', [amount, BigInt(scene.dice.integer(0, 3))])
  const stakes = scene.stakes.get(user.address) ?? { open: [], count: 0 }
  stakes.open.push(stakes.count)
  stakes.count += 1
  scene.stakes.set(user.address, stakes)
  await scene.act(user, { to: token.address, data }, `${user.name} stakes ${show(amount, 18, token.symbol)}`)
}

const stakers = (scene: Scene) =>
  scene.users.filter(({ address }) => !scene.resting.has(address) && (scene.stakes.get(address)?.open.length ?? 0) > 0)

async function unstake(scene: Scene, { token }: Linkdao): Promise<void> {
  const user = scene.dice.pick(stakers(scene))
  const index = scene.stakes.get(user.address)?.open.shift() ?? 0
  const data = encode(scene, 'LinkToken', 'unstake', [BigInt(index)])
  await scene.act(user, { to: token.address, data }, `${user.name} unstakes`)
}

async function unstakeWithoutStake(scene: Scene, { token }: Linkdao): Promise<void> {
  const user = pickUser(scene)
  const data = encode(scene, 'LinkToken', 'unstake', [1_000_000n])
  await scene.act(user, { to: token.address, data }, `${user.name} unstakes what is not there, in vain`)
}

async function claim(scene: Scene, { token }: Linkdao): Promise<void> {
  const user = pickUser(scene)
  const functionName = scene.dice.pick(['claimRewards', 'claimActivityReward'])
  const data = encode(scene, 'LinkToken', functionName, [])
  await scene.act(user, { to: token.address, data }, `${user.name} claims rewards`)
}

async function propose(scene: Scene, { governance }: Linkdao): Promise<void> {
  const user = pickUser(scene)
  const title = scene.dice.pick(TITLES)
  const data = encode(scene, 'Governance', 'propose', [title, 'Because it would be good: 🌱 für alle.'])
  scene.proposals += 1
  await scene.act(user, { to: governance, data }, `${user.name} proposes: ${title}`)
}

async function vote(scene: Scene, { governance }: Linkdao): Promise<void> {
  const user = pickUser(scene)
  const proposal = scene.dice.integer(1, scene.proposals)
  const support = scene.dice.integer(0, 2)
  const votes = BigInt(scene.dice.integer(1, 5000)) * ETHER
  const reason = scene.dice.pick(['', 'Why not', 'a\0b'])
  const data = encode(scene, 'Governance', 'castVote', [BigInt(proposal), support, votes, reason])
  const words = `${user.name} votes ${['against', 'for', 'abstaining on'][support]} proposal ${proposal}`
  await scene.act(user, { to: governance, data }, words)
}

async function tip(scene: Scene, { tipRouter, tipTokens }: Linkdao): Promise<void> {
  const from = pickUser(scene)
  const to = pickCounterparty(scene, from)
  const method = scene.dice.integer(0, tipTokens.length - 1)
  const token = tipTokens[method]
  if (token === undefined) return
  await allow(scene, from, token, tipRouter)
  const amount = pickAmount(scene, token.decimals)
  const data = encode(scene, 'TipRouter', 'tip', [pickPost(scene), to.address, amount, method])
  const words = `${from.name} tips ${to.name} ${show(amount, token.decimals, token.symbol)}`
  await scene.act(from, { to: tipRouter, data }, words)
}

async function tipByOldRouter(scene: Scene, { oldTipRouter, token }: Linkdao): Promise<void> {
  const from = pickUser(scene)
  const to = pickCounterparty(scene, from)
  await allow(scene, from, token, oldTipRouter)
  const amount = pickAmount(scene, token.decimals)
  const data = encode(scene, 'TipRouterOld', 'tip', [pickPost(scene), to.address, amount])
  const words = `${from.name} tips ${to.name} ${show(amount, token.decimals, token.symbol)} by the old router`
  await scene.act(from, { to: oldTipRouter, data }, words)
}

async function collectSubscription(scene: Scene, { tipRouter, token }: Linkdao): Promise<void> {
  const creator = pickUser(scene)
  const tipper = pickUser(scene, creator)
  await allow(scene, tipper, token, tipRouter)
  const amount = pickAmount(scene, token.decimals)
  const data = encode(scene, 'TipRouter', 'collectSubscription', [tipper.address, amount, 0])
  await scene.act(creator, { to: tipRouter, data }, `${creator.name} collects the subscription of ${tipper.name}`)
}

function pickPost({ dice }: Scene) {
  return keccak256(stringToHex(`post ${dice.integer(1, 1000)}`))
}

export const LINKDAO_ACTIONS: readonly Action[] = [
  onLinkdao('stake', stake),
  onLinkdao('stake', stake),
  onLinkdao('unstake', unstake, scene => stakers(scene).length > 0),
  onLinkdao('unstake without a stake', unstakeWithoutStake),
  onLinkdao('claim', claim),
  onLinkdao('propose', propose),
  onLinkdao('vote', vote, scene => scene.proposals > 0),
  onLinkdao('vote', vote, scene => scene.proposals > 0),
  onLinkdao('tip', tip),
  onLinkdao('tip', tip),
  onLinkdao('tip by the old router', tipByOldRouter),
  onLinkdao('collect a subscription', collectSubscription),
]

/** Tells which hosts belong to AWS. */
import type { AwsService } from '../events.ts';

// The DNS suffixes of AWS's partitions, and those for dual-stack endpoints:
// https://docs.aws.amazon.com/general/latest/gr/rande.html and the SDK's partitions.json.
const awsSuffixes = [
  'amazonaws.com',
  'amazonaws.com.cn',
  'amazonaws.eu',
  'api.aws',
  'api.amazonwebservices.com.cn',
  'api.amazonwebservices.eu',
  'c2s.ic.gov',
  'sc2s.sgov.gov',
  'cloud.adc-e.uk',
  'csp.hci.ic.gov',
];

/**
 * Whether a host is that service of AWS itself: its endpoint in a Region, or one in your own
 * network (`vpce-….kms.REGION.vpce.amazonaws.com`). Other hosts under AWS's domains can be
 * anyone's, such as a load balancer or an API gateway.
 */
export const isAwsHost = (host: string, service: AwsService): boolean =>
  awsSuffixes.some((suffix) => {
    if (!host.endsWith(`.${suffix}`)) return false;
    const name = /^(?:[\w-]+\.)?([a-z]+)(?:-fips)?\.[a-z]+(?:-[a-z]+)+-\d+(?:\.vpce)?$/.exec(
      host.slice(0, -suffix.length - 1),
    )?.[1];
    return name === service;
  });

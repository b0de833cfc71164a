"""Two 50-digit references for the four-variable flow that share none of the package's code.

The elliptic one finds the roots of the cubic numerically and uses mpmath's Jacobi functions and
Carlson integrals. It is itself checked against a Taylor-series integration of the flow, which knows
no elliptic function at all. Both start from the very float64 numbers the code is given.
"""

import mpmath as mp

P = 23
DIGITS = 50
# Working digits up to the differences of the roots, of which alpha << beta, D = pi loses up to 60.
ROOT_DIGITS = 110


class Reference:
    """One ticket at 50 digits."""

    def __init__(self, A, B, p=P):
        self.p = p
        self.A, self.B = mp.mpc(complex(A)), mp.mpc(complex(B))
        # One unit of size, so that 50 digits mean the same for every ticket.
        self.size = max(abs(self.A), abs(self.B))
        A, B = self.A / self.size, self.B / self.size
        product = A * A * mp.conj(B)
        self.C1, self.C2, self.C3 = abs(A) ** 2 - 2 * abs(B) ** 2, product.imag, product.real
        if self.C2 == 0:
            roots = [mp.mpf(0), -self.C1 / 2, -self.C1 / 2]
        else:
            cubic = [4, 4 * self.C1, self.C1**2, -(self.C2**2)]
            roots = mp.polyroots(cubic, maxsteps=500, extraprec=100)
        cut = mp.mpf(10) ** (10 - ROOT_DIGITS)
        self.e = max(mp.re(r) for r in roots if abs(mp.im(r)) <= cut * abs(r))
        self.others = sorted(roots, key=lambda r: abs(r - self.e))[1:]
        if all(abs(mp.im(r)) <= cut * abs(r) for r in self.others):
            self.others = [mp.re(r) for r in self.others]
        self.v = abs(B) ** 2
        self.omega = mp.inf if self.C2 == 0 and self.C1 <= 0 else self.first(self.e)
        self.u = self.first(self.v)
        if self.C3 < 0:
            self.u = 2 * self.omega - self.u
        self.blowup = self.u / (2 * p * self.size)

    def gaps(self, v):
        return max(v - self.e, mp.mpf(0)), *(v - r for r in self.others)

    def first(self, v):
        gaps = self.gaps(v)
        with mp.workdps(DIGITS):
            return mp.re(mp.elliprf(*gaps))

    def third(self, v, pole):
        gaps, last = self.gaps(v), v - pole
        with mp.workdps(DIGITS):
            return mp.re(mp.elliprj(*gaps, last))

    def evolve(self, time):
        """A and B, by Jacobi functions of the roots and Carlson's R_J for the phases."""
        u = self.u - 2 * self.p * self.size * mp.mpf(float(time))
        e, (r, s) = self.e, self.others
        if abs(mp.im(r)) > 0:
            H = mp.sqrt(mp.re((e - r) * (e - s)))
            m = mp.mpf(1) / 2 - mp.re(2 * e - r - s) / (4 * H)
            cn = mp.ellipfun("cn", 2 * u * mp.sqrt(H), m=m)
            v = e + H * (1 + cn) / (1 - cn)
        else:
            middle, least = max(mp.re(r), mp.re(s)), min(mp.re(r), mp.re(s))
            m = (middle - least) / (e - least)
            v = least + (e - least) / mp.ellipfun("sn", u * mp.sqrt(e - least), m=m) ** 2
        v = mp.re(v)
        growing = u <= self.omega
        # Integrate psi where v stays off zero, phi where alpha^2 does; D gives the other one.
        pole = mp.mpf(0) if self.C1 < 0 else -self.C1 / 2
        if self.C2 == 0:
            return self.dress(v, growing, mp.mpf(0))
        here, start = self.third(v, pole), self.third(self.v, pole)
        if self.C3 >= 0:
            swept = start - here
        elif growing:
            swept = 2 * self.third(self.e, pole) - start - here
        else:
            swept = here - start
        return self.dress(v, growing, swept * self.C2 / 6)

    def dress(self, v, growing, swept):
        """A and B from v, the direction of D and the swept angle."""
        root = mp.sqrt(v) * (self.C1 + 2 * v)
        C3 = mp.sqrt(max(root**2 - self.C2**2, 0)) * (1 if growing else -1)
        D, D0 = mp.atan2(self.C2, C3), mp.atan2(self.C2, self.C3)
        phi = mp.arg(self.A)
        phi += (swept + D - D0) / 2 if self.C1 < 0 else -swept
        alpha, beta = mp.sqrt(self.C1 + 2 * v), mp.sqrt(v)
        return self.size * alpha * mp.expj(phi), self.size * beta * mp.expj(2 * phi - D)


def taylor(A, B, time, p=P, order=50):
    """The flow integrated by its Taylor series at 50 digits."""
    A, B, left = mp.mpc(complex(A)), mp.mpc(complex(B)), mp.mpf(float(time))
    while left > 0:
        a, b = [A], [B]
        for n in range(order):
            a.append(2 * p * mp.fsum(mp.conj(a[i]) * b[n - i] for i in range(n + 1)) / (n + 1))
            b.append(p * mp.fsum(a[i] * a[n - i] for i in range(n + 1)) / (n + 1))
        radius = (abs(a[-1]) + abs(b[-1])) ** (-mp.mpf(1) / order)
        # 0.12^50 = 1e-46: truncation below the comparison's 1e-35.
        step = min(left, mp.mpf("0.12") * radius)
        A, B = mp.polyval(a[::-1], step), mp.polyval(b[::-1], step)
        left -= step
    return A, B
